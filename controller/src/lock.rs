//! Locks. Who panicked while holding one left behind what nobody should go on with, so whoever comes next ends too: the
//! task, and with it the process.

use std::sync::{Mutex, MutexGuard};

/// Takes the lock. Held for the length of a computation, never across an await.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|_| poisoned())
}

#[cold]
fn poisoned() -> ! {
    const WHY: &str = "a task panicked while it changed what this one looks at";
    tracing::error!("Cannot go on: {WHY}");
    std::panic::resume_unwind(Box::new(WHY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_panic_in_a_critical_section_nobody_goes_on() {
        let mutex = Mutex::new(1);
        let panics = |work: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err();
        assert!(panics(&|| {
            let _held = lock(&mutex);
            std::panic::resume_unwind(Box::new("in the middle"));
        }));
        assert!(panics(&|| drop(lock(&mutex))));
    }
}

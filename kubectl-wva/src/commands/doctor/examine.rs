//! The order in which causes are looked for, and what each leaves for the next.

use super::Facts;
use super::checks::{config, controller, costs, follower, leader_series, metrics, news, owner, servers, target};
use super::examination::Examination;
use super::view::DoctorView;

/// Draws all conclusions from the facts. Pure.
pub fn examine(facts: &Facts) -> DoctorView {
    let mut examination = Examination::new(facts);
    let managed = owner::check(&mut examination);
    let healthy = target::check(&mut examination, &managed);
    let working = controller::check(&mut examination, healthy);
    config::check(&mut examination);
    news::check(&mut examination);
    servers::check(&mut examination, &working);
    let measured = metrics::check(&mut examination, working);
    follower::check(&mut examination, &measured);
    leader_series::check(&mut examination, &measured);
    costs::check(&mut examination);
    examination.into_view()
}

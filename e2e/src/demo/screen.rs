//! Output of the demo: a live table on a terminal, plain lines otherwise.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::time::Duration;

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};

use super::claims::Claim;
use super::observe::Row;
use super::record::{Look, Record};

const BOLD: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// Where the demo prints.
pub struct Screen {
    out: Box<dyn Write + Send>,
    live: bool,
    drawn: usize,
    shown: Vec<String>,
    moves_shown: usize,
}

impl Screen {
    /// Standard output: live when it is a terminal.
    pub fn stdout() -> Self {
        let live = io::stdout().is_terminal();
        Self::new(Box::new(AutoStream::auto(io::stdout())), live)
    }

    /// Any output.
    pub fn new(out: Box<dyn Write + Send>, live: bool) -> Self {
        Self { out, live, drawn: 0, shown: Vec::new(), moves_shown: 0 }
    }

    /// Begins a part.
    pub fn headline(&mut self, text: &str) {
        self.leave_table();
        self.line(&format!("\n{BOLD}{text}{BOLD:#}"));
    }

    /// A step that is done.
    pub fn step(&mut self, at: Duration, text: &str) {
        self.line(&format!("{DIM}{:6.1}s{DIM:#}  {text}", at.as_secs_f64()));
    }

    /// The newest look. Live: the whole table, drawn over the last one. Plain: a line per variant that changed.
    pub fn rows(&mut self, record: &Record) {
        let Some(look) = record.looks().last() else { return };
        if self.live {
            self.draw(look, record);
        } else {
            self.changes(look);
        }
    }

    /// The closing report.
    pub fn report(&mut self, picture: &str, load: &str, claims: &[Claim], svg: &Path) {
        self.headline("What happened");
        self.line(picture);
        self.line(&format!("Load: {load}"));
        self.line(&format!("Chart: {}", svg.display()));
        self.headline("What was promised");
        for claim in claims {
            match &claim.seen {
                Ok(seen) => self.line(&format!("{GOOD}  ok    {GOOD:#}{}\n          {DIM}{seen}{DIM:#}", claim.text)),
                Err(seen) => self.line(&format!("{BAD}  FAIL  {BAD:#}{}\n          {seen}", claim.text)),
            }
        }
    }

    fn draw(&mut self, look: &Look, record: &Record) {
        let table = table(look);
        let mut text = String::new();
        if self.drawn > 0 {
            // Up to the first line of the last table; each line is cleared as it is written again.
            let _ = write!(text, "\x1b[{}A", self.drawn);
        }
        for m in &record.moves()[self.moves_shown..] {
            let _ = writeln!(
                text,
                "\x1b[2K{DIM}{:6.1}s{DIM:#}  {} {BOLD}{} {} → {}{BOLD:#}  {}",
                m.at.as_secs_f64(),
                m.instance,
                m.variant,
                m.from,
                m.to,
                m.reason
            );
        }
        self.moves_shown = record.moves().len();
        for line in &table {
            let _ = writeln!(text, "\x1b[2K{line}");
        }
        self.drawn = table.len();
        self.print(&text);
    }

    fn changes(&mut self, look: &Look) {
        let lines: Vec<(String, String)> = look.rows.iter().map(|row| (key(row), plain(row))).collect();
        for (key, line) in lines {
            if !self.shown.contains(&key) {
                let identity = key.split(' ').take(2).collect::<Vec<_>>().join(" ");
                self.shown.retain(|shown| !shown.starts_with(&format!("{identity} ")));
                self.shown.push(key);
                self.line(&format!("{:6.1}s  {line}", look.at.as_secs_f64()));
            }
        }
    }

    /// What is printed from now on goes below the table.
    fn leave_table(&mut self) {
        self.drawn = 0;
    }

    fn line(&mut self, text: &str) {
        self.print(&format!("{text}\n"));
    }

    /// A reader that went away (`| head`) does not end the demo: its exit status is what counts.
    fn print(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.flush();
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.0}%", share * 100.0))
}

fn number<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn table(look: &Look) -> Vec<String> {
    let header = format!("{BOLD}         INSTANCE  VARIANT      KV   QUEUE  DESIRED  READY  HPA  REASON{BOLD:#}");
    let row = |row: &Row| {
        format!(
            "         {:<8}  {:<10} {:>4}  {:>6}  {:>7}  {:>5}  {:>3}  {}",
            row.instance,
            row.variant,
            percent(row.kv),
            number(row.queue),
            number(row.desired),
            format!("{}/{}", row.ready, row.replicas),
            number(row.hpa),
            clipped(&row.reason),
        )
    };
    std::iter::once(header).chain(look.rows.iter().map(row)).collect()
}

/// A wrapped line would spoil the redraw.
fn clipped(reason: &str) -> String {
    const WIDTH: usize = 70;
    if reason.chars().count() <= WIDTH {
        reason.to_owned()
    } else {
        reason.chars().take(WIDTH - 1).chain(['…']).collect()
    }
}

/// What makes a plain line worth printing: replicas and their reason's kind, not every wobble of the cache.
fn key(row: &Row) -> String {
    let reason: String = row.reason.chars().filter(|c| !c.is_ascii_digit() && *c != '.').collect();
    format!("{} {} {:?} {} {} {:?} {reason}", row.instance, row.variant, row.desired, row.ready, row.replicas, row.hpa)
}

fn plain(row: &Row) -> String {
    format!(
        "{} {}: kv {}, queue {}, desired {}, ready {}/{}, hpa {}: {}",
        row.instance,
        row.variant,
        percent(row.kv),
        number(row.queue),
        number(row.desired),
        row.ready,
        row.replicas,
        number(row.hpa),
        row.reason
    )
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn printed(live: bool, looks: &[Vec<Row>]) -> String {
        let sink = Sink::default();
        let mut screen = Screen::new(Box::new(sink.clone()), live);
        let mut record = Record::default();
        for rows in looks {
            record.add(rows.clone());
            screen.rows(&record);
        }
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn piped_output_has_a_line_per_change_and_no_control_characters() {
        let row = Row::example("team-a", "llama", 1);
        let wobble = Row { kv: Some(0.51), ..row.clone() };
        let grown = Row { desired: Some(2), ..row.clone() };
        let text = printed(false, &[vec![row], vec![wobble], vec![grown]]);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains('\x1b'));
        assert!(text.contains("team-a llama: kv 50%, queue 0, desired 2, ready 1/1, hpa 1"), "{text}");
    }

    #[test]
    fn a_terminal_gets_the_table_drawn_over_the_last_one() {
        let row = Row { kv: None, ..Row::example("team-a", "llama", 1) };
        let text = printed(true, &[vec![row.clone()], vec![row]]);
        assert!(text.contains("\x1b[2A"), "{text:?}");
        assert!(text.contains("    -  "), "what is not known is a dash: {text:?}");
    }
}

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
    /// Columns of the terminal; `None` when lines are to be plain.
    width: Option<usize>,
    drawn: usize,
    shown: Vec<String>,
    moves_shown: usize,
}

impl Screen {
    /// Standard output: live when it is a terminal.
    pub fn stdout() -> Self {
        let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
        let live = io::stdout().is_terminal();
        Self::new(Box::new(AutoStream::auto(io::stdout())), live.then_some(width))
    }

    /// Any output. With a width it is a terminal, and live.
    pub fn new(out: Box<dyn Write + Send>, width: Option<usize>) -> Self {
        Self { out, width, drawn: 0, shown: Vec::new(), moves_shown: 0 }
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
        match self.width {
            Some(width) => self.draw(look, record, width),
            None => self.changes(look),
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

    fn draw(&mut self, look: &Look, record: &Record, width: usize) {
        let table = table(look);
        let mut text = String::new();
        if self.drawn > 0 {
            // Up to the first line of the last table; each line is cleared as it is written again.
            let _ = write!(text, "\x1b[{}A", self.drawn);
        }
        for m in &record.moves()[self.moves_shown..] {
            let line = format!(
                "{DIM}{:6.1}s{DIM:#}  {} {BOLD}{} {} → {}{BOLD:#}  {}",
                m.at.as_secs_f64(),
                m.instance,
                m.variant,
                m.from,
                m.to,
                m.reason
            );
            let _ = writeln!(text, "\x1b[2K{}", clipped(&line, width));
        }
        self.moves_shown = record.moves().len();
        for line in &table {
            let _ = writeln!(text, "\x1b[2K{}", clipped(line, width));
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
            row.reason,
        )
    };
    std::iter::once(header).chain(look.rows.iter().map(row)).collect()
}

/// A line cut to the width of the terminal: a wrapped line would spoil the redraw. Styles take no room.
fn clipped(line: &str, width: usize) -> String {
    let (mut text, mut seen, mut styled) = (String::new(), 0, false);
    let mut letters = line.chars();
    let whole = anstream::adapter::strip_str(line).to_string().chars().count() <= width;
    while let Some(letter) = letters.next() {
        if letter == '\x1b' {
            styled = true;
            text.push(letter);
            text.extend(letters.by_ref().take_while(|letter| *letter != 'm'));
            text.push('m');
            continue;
        }
        if !whole && seen + 1 >= width {
            text.push('…');
            break;
        }
        text.push(letter);
        seen += 1;
    }
    if styled { format!("{text}\x1b[0m") } else { text }
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

    fn printed(width: Option<usize>, looks: &[Vec<Row>]) -> String {
        let sink = Sink::default();
        let mut screen = Screen::new(Box::new(sink.clone()), width);
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
        let text = printed(None, &[vec![row], vec![wobble], vec![grown]]);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains('\x1b'));
        assert!(text.contains("team-a llama: kv 50%, queue 0, desired 2, ready 1/1, hpa 1"), "{text}");
    }

    #[test]
    fn a_terminal_gets_the_table_drawn_over_the_last_one() {
        let row = Row { kv: None, ..Row::example("team-a", "llama", 1) };
        let text = printed(Some(100), &[vec![row.clone()], vec![row]]);
        assert!(text.contains("\x1b[2A"), "{text:?}");
        assert!(text.contains("    -  "), "what is not known is a dash: {text:?}");
    }

    /// What a terminal shows of it, without the empty lines below.
    fn on_terminal(width: u16, looks: &[Vec<Row>]) -> Vec<String> {
        let mut terminal = vt100::Parser::new(40.try_into().unwrap(), width.try_into().unwrap(), 0);
        terminal.process(printed(Some(width.into()), looks).replace('\n', "\r\n").as_bytes());
        let rows = terminal.screen().rows(0, width).map(|row| row.trim_end().to_owned());
        rows.filter(|row| !row.is_empty()).collect()
    }

    #[test]
    fn redraws_leave_one_table_at_every_width() {
        let reason =
            "load and capacity are in balance, which takes many more words to say than a terminal has columns for";
        let row = |variant: &str| Row { reason: reason.to_owned(), ..Row::example("team-a", variant, 1) };
        for width in [80, 120] {
            let looks: Vec<Vec<Row>> = (0..20).map(|_| vec![row("llama"), row("other")]).collect();
            let shown = on_terminal(width, &looks);
            assert_eq!(shown.len(), 3, "a header and two rows at {width} columns: {shown:#?}");
            assert!(shown[1].contains("llama") && shown[1].ends_with('…'), "{shown:#?}");
        }
    }
}

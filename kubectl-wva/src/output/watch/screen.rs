//! What a watched answer looks like on a terminal. Pure: texts in, control sequences out.

use std::time::Duration;

use regex::Regex;

use crate::output::table::cut;

/// Stands before a line that has changed.
const MARK: &str = "▌ ";
/// Stands before any other.
const NO_MARK: &str = "  ";
/// Looks for which a mark stays.
const STAYS: u8 = 3;

/// A screen of its own.
#[derive(Debug)]
pub struct Screen {
    width: u16,
    height: Option<u16>,
    interval: Duration,
    /// The lines of the last look, each with the looks for which its mark stays.
    lines: Vec<(String, u8)>,
    ages: Option<Regex>,
}

/// Lines of the terminal that standard output is, if it is one.
pub(super) fn terminal_height() -> Option<u16> {
    terminal_size::terminal_size().map(|(_, height)| height.0)
}

impl Screen {
    /// Opens the alternate screen and hides the cursor.
    pub const ENTER: &str = "\x1b[?1049h\x1b[?25l";
    /// The way back.
    const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

    /// A screen of so many columns and, where they are known, lines.
    pub fn new(width: u16, height: Option<u16>, interval: Duration) -> Self {
        // Ages and clocks move with every look, and are no news.
        let ages = Regex::new(r"\b(\d+[smhd])+\b|\d\d:\d\d:\d\d").ok();
        Self { width, height, interval, lines: Vec::new(), ages }
    }

    /// The width that is left for the answer.
    pub fn inner_width(&self) -> u16 {
        self.width.saturating_sub(2)
    }

    /// The screen with a new answer; lines that were not there before are marked.
    pub fn draw(&mut self, text: &str, clock: &str) -> String {
        let first = self.lines.is_empty();
        let known: Vec<(String, u8)> = self.lines.iter().map(|(line, mark)| (self.steady(line), *mark)).collect();
        let marked = |line: &str| {
            let steady = self.steady(line);
            let before = known.iter().find(|(other, _)| *other == steady);
            match before {
                Some((_, mark)) => mark.saturating_sub(1),
                None if first || steady.trim().is_empty() => 0,
                None => STAYS,
            }
        };
        self.lines = text.lines().map(|line| (line.to_owned(), marked(line))).collect();
        self.whole(&format!("every {:?}, Ctrl-C ends; {clock}", self.interval))
    }

    /// The last answer again, under what has gone wrong since.
    pub(super) fn trouble(&self, what: &str, clock: &str) -> String {
        self.whole(&format!("{clock} {}", what.lines().next().unwrap_or_default()))
    }

    /// Leaves the screen; the last answer stays on the one before.
    pub(super) fn leave(&self) -> String {
        let last = self.lines.iter().fold(String::new(), |text, (line, _)| text + line + "\n");
        format!("{}{last}", Self::LEAVE)
    }

    fn whole(&self, headline: &str) -> String {
        let plain = anstream::adapter::strip_str(headline).to_string();
        let mut text = format!("\x1b[H\x1b[2m{}\x1b[0m\x1b[K\n", cut(&plain, self.width.into()));
        let room = self.height.map_or(usize::MAX, |height| usize::from(height).saturating_sub(2));
        let hidden = self.lines.len().saturating_sub(room);
        for (line, mark) in self.lines.iter().take(room) {
            let before = if *mark > 0 { MARK } else { NO_MARK };
            text = format!("{text}{before}{line}\x1b[K\n");
        }
        if hidden > 0 {
            text = format!("{text}{NO_MARK}… {hidden} lines more\x1b[K");
        }
        format!("{text}\x1b[J")
    }

    fn steady(&self, line: &str) -> String {
        self.ages.as_ref().map_or(line.to_owned(), |ages| ages.replace_all(line, "-").into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(parser: &vt100::Parser) -> Vec<String> {
        let rows = parser.screen().rows(0, 40).map(|row| row.trim_end().to_owned());
        rows.filter(|row| !row.is_empty()).collect()
    }

    fn terminal() -> vt100::Parser {
        vt100::Parser::new(10.try_into().unwrap(), 40.try_into().unwrap(), 100)
    }

    #[test]
    fn a_watched_answer_has_a_screen_of_its_own_and_marks_what_has_changed() {
        let mut terminal = terminal();
        let mut screen = Screen::new(40, Some(10), Duration::from_secs(2));
        terminal.process(b"$ kubectl wva status -w\r\n");
        let mut send = |text: String| terminal.process(text.replace('\n', "\r\n").as_bytes());
        send(Screen::ENTER.to_owned());
        send(screen.draw("NAME   REPLICAS  SINCE\nllama  1 -> 1    30s\nqwen   2 -> 2    5m\n", "18:42:05"));
        send(screen.draw("NAME   REPLICAS  SINCE\nllama  1 -> 2    0s\nqwen   2 -> 2    6m\n", "18:42:07"));
        assert!(terminal.screen().alternate_screen() && terminal.screen().hide_cursor());
        assert_eq!(
            shown(&terminal),
            [
                "every 2s, Ctrl-C ends; 18:42:07",
                "  NAME   REPLICAS  SINCE",
                "▌ llama  1 -> 2    0s",
                "  qwen   2 -> 2    6m"
            ]
        );
        // Shorter than before: nothing of the last look stays.
        let mut send = |text: String| terminal.process(text.replace('\n', "\r\n").as_bytes());
        send(screen.draw("no variants\n", "18:42:09"));
        assert_eq!(shown(&terminal), ["every 2s, Ctrl-C ends; 18:42:09", "▌ no variants"]);
        terminal.process(screen.leave().replace('\n', "\r\n").as_bytes());
        assert!(!terminal.screen().alternate_screen() && !terminal.screen().hide_cursor());
        assert_eq!(shown(&terminal), ["$ kubectl wva status -w", "no variants"]);
    }

    #[test]
    fn what_does_not_fit_is_counted_and_a_failure_stands_above_the_last_answer() {
        let mut terminal = terminal();
        let mut screen = Screen::new(40, Some(10), Duration::from_secs(2));
        let text = (0..20).map(|at| format!("line {at}")).collect::<Vec<_>>().join("\n");
        terminal.process(screen.draw(&text, "18:42:05").replace('\n', "\r\n").as_bytes());
        let lines = shown(&terminal);
        assert_eq!((lines.len(), lines[9].as_str()), (10, "  … 12 lines more"));
        terminal.process(screen.trouble("error: away\nhint: x", "18:42:07").replace('\n', "\r\n").as_bytes());
        assert_eq!(shown(&terminal)[..2], ["18:42:07 error: away", "  line 0"]);
    }
}

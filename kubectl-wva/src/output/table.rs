//! Tables without lines, as kubectl prints them, made to fit the terminal: columns that few need give way, words and
//! headers are never broken, and what is too long for a column stands on a line of its own below its row.

use comfy_table::{Color, ContentArrangement, Table, TableStyle};

/// Blanks between two columns.
const GAP: u16 = 2;
/// Blanks before what stands below a row.
const INDENT: &str = "    ";
/// Most lines that stand below a row, per text.
const BELOW: usize = 2;

/// Columns of the terminal that standard output is, if it is one.
pub fn terminal_width() -> Option<u16> {
    Table::new().width()
}

/// One cell.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    text: String,
    colour: Option<Color>,
}

impl Cell {
    /// Plain text.
    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts are given as they are")]
    pub fn new(text: impl ToString) -> Self {
        Self { text: text.to_string(), colour: None }
    }

    /// The same in a colour.
    #[must_use]
    pub fn fg(self, colour: Color) -> Self {
        Self { colour: Some(colour), ..self }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }

    fn cut(&mut self, width: usize) {
        self.text = cut(&self.text, width);
    }
}

impl From<Cell> for comfy_table::Cell {
    fn from(cell: Cell) -> Self {
        let plain = Self::new(cell.text);
        cell.colour.into_iter().fold(plain, Self::fg)
    }
}

/// One column: its header, and how soon it gives way. Rank 0 stays.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    title: &'static str,
    rank: u8,
    below: bool,
}

impl Column {
    /// A column that gives way the sooner the higher its rank.
    pub const fn new(title: &'static str, rank: u8) -> Self {
        Self { title, rank, below: false }
    }

    /// A column that stands below its row when it has given way.
    pub const fn or_below(title: &'static str, rank: u8) -> Self {
        Self { title, rank, below: true }
    }
}

/// Prints rows under a header, on a terminal as many columns as it has room for. The cell of a column that stands below
/// is left out where it is empty.
pub fn render(columns: &[Column], rows: Vec<Vec<Cell>>, headers: bool, width: Option<u16>) -> String {
    let shown = chosen(columns, &rows, headers, width.map(usize::from));
    let mut table = Table::new();
    // Colours are always written; the stream removes them where they are not wanted.
    table.load_style(TableStyle::new()).enforce_styling();
    table.set_content_arrangement(ContentArrangement::Disabled);
    if headers {
        table.set_header(shown.iter().map(|at| columns[*at].title));
    }
    let mut below = Vec::new();
    for row in rows {
        below.push(width.map_or_else(Vec::new, |width| beneath(columns, &row, &shown, usize::from(width))));
        let mut cells: Vec<Cell> = shown.iter().map(|at| row[*at].clone()).collect();
        if let (Some(width), [only, ..]) = (width, cells.as_mut_slice()) {
            only.cut(room(columns, &shown, width.into()));
        }
        table.add_row(cells.into_iter().map(comfy_table::Cell::from));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    let mut lines = table.lines().map(|line| line.trim_end().to_owned());
    let mut text: Vec<String> = lines.by_ref().take(usize::from(headers)).collect();
    for (line, below) in lines.zip(below) {
        text.push(line);
        text.extend(below);
    }
    text.iter().fold(String::new(), |text, line| text + line + "\n")
}

/// Which columns there is room for, by their index.
fn chosen(columns: &[Column], rows: &[Vec<Cell>], headers: bool, width: Option<usize>) -> Vec<usize> {
    let all: Vec<usize> = (0..columns.len()).collect();
    let Some(width) = width else { return all };
    let content = |at: usize| {
        let header = if headers { columns[at].title.chars().count() } else { 0 };
        rows.iter().map(|row| row[at].width()).max().unwrap_or(0).max(header)
    };
    let needed = |shown: &[usize]| {
        let texts: usize = shown.iter().map(|at| content(*at)).sum();
        texts + usize::from(GAP) * shown.len().saturating_sub(1)
    };
    let mut shown = all;
    while needed(&shown) > width {
        let Some(at) =
            (0..shown.len()).filter(|at| columns[shown[*at]].rank > 0).max_by_key(|at| columns[shown[*at]].rank)
        else {
            break;
        };
        shown.remove(at);
    }
    shown
}

/// How long the first cell of a row may be. Only names that leave no room for what stays are cut.
fn room(columns: &[Column], shown: &[usize], width: usize) -> usize {
    let others: usize = shown.iter().skip(1).map(|at| columns[*at].title.chars().count() + usize::from(GAP)).sum();
    width.saturating_sub(others.max(width / 2)).max(12)
}

/// What stands below a row: the cells that have given way and are worth it.
fn beneath(columns: &[Column], row: &[Cell], shown: &[usize], width: usize) -> Vec<String> {
    let gone = (0..columns.len()).filter(|at| columns[*at].below && !shown.contains(at));
    gone.filter(|at| !matches!(row[*at].text.as_str(), "" | "-"))
        .flat_map(|at| {
            let text = row[at].text.as_str();
            let mut lines = wrapped(text, width.saturating_sub(INDENT.len()));
            if lines.len() > BELOW {
                lines.truncate(BELOW);
                let last = &mut lines[BELOW - 1];
                *last = cut(&format!("{last} …"), width.saturating_sub(INDENT.len()));
            }
            lines.into_iter().map(|line| format!("{INDENT}{line}"))
        })
        .collect()
}

/// A text cut to a width, with a sign that something is missing.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// A text in lines no longer than a width, broken between words; a word that is longer than a line is broken too.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(10);
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let mut letters: Vec<char> = word.chars().collect();
        let fits = lines.last().is_some_and(|line| line.chars().count() + 1 + letters.len() <= width);
        if let (true, Some(line)) = (fits, lines.last_mut()) {
            line.push(' ');
            line.push_str(word);
            continue;
        }
        while letters.len() > width {
            lines.push(letters.drain(..width).collect());
        }
        lines.push(letters.into_iter().collect());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_broken_between_words() {
        assert_eq!(wrapped("load and capacity are in balance", 12), ["load and", "capacity are", "in balance"]);
        assert_eq!(wrapped("abcdefghijklmnop", 10), ["abcdefghij", "klmnop"]);
        assert_eq!(cut("abcdef", 4), "abc…");
    }

    #[test]
    fn columns_give_way_by_rank_and_what_is_worth_it_stands_below() {
        let columns = [Column::new("NAME", 0), Column::new("TARGET", 2), Column::or_below("REASON", 1)];
        let row = || vec![Cell::new("llama"), Cell::new("llama-decode"), Cell::new("load and capacity are in balance")];
        let wide = render(&columns, vec![row()], true, None);
        assert!(wide.contains("llama  llama-decode  load and capacity are in balance\n"), "{wide}");
        let narrow = render(&columns, vec![row()], true, Some(30));
        assert_eq!(narrow, "NAME\nllama\n    load and capacity are in\n    balance\n");
    }
}

//! Tables without lines, as kubectl prints them.

use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Table, TableStyle, Width};

/// Blanks between two columns.
const GAP: u16 = 2;
/// Fewest characters of a last column whose text is wrapped.
const LAST_COLUMN: u16 = 20;

/// Columns of the terminal that standard output is, if it is one.
pub fn terminal_width() -> Option<u16> {
    Table::new().width()
}

/// Prints rows under a header. With a `width`, long cells are wrapped to fit: those of the last column, and only where
/// that is not enough, all.
pub fn render(header: Option<&[&str]>, rows: Vec<Vec<Cell>>, width: Option<u16>) -> String {
    let mut table = Table::new();
    // Colours are always written; the stream removes them where they are not wanted.
    table.load_style(TableStyle::new()).enforce_styling();
    if let Some(header) = header {
        table.set_header(header.iter().copied());
    }
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    match width {
        Some(width) => fit(&mut table, width),
        None => {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    table.lines().fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

fn fit(table: &mut Table, width: u16) {
    table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic);
    let widths = table.column_max_content_widths();
    let Some((_, others)) = widths.split_last() else { return };
    let needed = others.iter().fold(LAST_COLUMN + GAP, |sum, content| sum.saturating_add(content + GAP));
    if needed > width {
        return;
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_constraint(if index < others.len() {
            ColumnConstraint::ContentWidth
        } else {
            ColumnConstraint::LowerBoundary(Width::Fixed(LAST_COLUMN))
        });
    }
}

//! Tables without lines, as kubectl prints them.

use comfy_table::{Cell, ContentArrangement, Table, TableStyle};

/// Columns of the terminal that standard output is, if it is one.
pub fn terminal_width() -> Option<u16> {
    Table::new().width()
}

/// Prints rows under a header. With a `width`, long cells are wrapped to fit.
pub fn render(header: Option<&[&str]>, rows: Vec<Vec<Cell>>, width: Option<u16>) -> String {
    let mut table = Table::new();
    // Colours are always written; the stream removes them where they are not wanted.
    table.load_style(TableStyle::new()).enforce_styling();
    match width {
        Some(width) => table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    if let Some(header) = header {
        table.set_header(header.iter().copied());
    }
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

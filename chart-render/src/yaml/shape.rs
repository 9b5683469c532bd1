//! What a text contains decides how YAML can write it.

/// What the text contains, and so which styles can carry it.
#[expect(clippy::struct_excessive_bools, reason = "the four answers of one look at the text")]
pub(super) struct Shape {
    pub(super) multiline: bool,
    pub(super) plain_allowed: bool,
    pub(super) single_quoted_allowed: bool,
    pub(super) block_allowed: bool,
}

impl Shape {
    pub(super) fn of(text: &str) -> Self {
        let mut shape =
            Self { multiline: false, plain_allowed: true, single_quoted_allowed: true, block_allowed: true };
        let characters: Vec<char> = text.chars().collect();
        let Some(last) = characters.len().checked_sub(1) else {
            shape.block_allowed = false;
            return shape;
        };
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let (mut special, mut break_space, mut space_break) = (false, false, false);
        for (index, &character) in characters.iter().enumerate() {
            let previous = index.checked_sub(1).map(|before| characters[before]);
            let next_is_blank = characters.get(index + 1).is_none_or(|next| matches!(next, ' ' | '\t'));
            indicators |= match character {
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => index == 0,
                '?' | '-' => index == 0 && next_is_blank,
                ':' => next_is_blank,
                '#' => previous.is_none_or(|before| matches!(before, ' ' | '\t') || is_break(before)),
                _ => false,
            };
            special |= !is_printable(character);
            shape.multiline |= is_break(character);
            break_space |= character == ' ' && previous.is_some_and(is_break);
            space_break |= is_break(character) && previous == Some(' ');
        }
        let edge = |character: char| character == ' ' || is_break(character);
        shape.plain_allowed = !(indicators
            || special
            || break_space
            || space_break
            || shape.multiline
            || edge(characters[0])
            || edge(characters[last]));
        shape.single_quoted_allowed = !(special || break_space || space_break);
        shape.block_allowed = !(special || space_break || characters[last] == ' ');
        shape
    }
}

pub(super) fn is_break(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// go-yaml prints no tab and nothing beyond the basic plane, so an emoji is escaped and `é` is not.
pub(super) fn is_printable(character: char) -> bool {
    matches!(character, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && character != '\u{feff}'
}

pub(super) fn escape(character: char) -> String {
    let short = match character {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        other => {
            let code = u32::from(other);
            return match code {
                0..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{short}")
}

//! The words of a container's command line.

/// Shells whose `-c` argument is the real command line.
const SHELLS: [&str; 4] = ["/bin/sh", "/bin/bash", "sh", "bash"];

/// Command and arguments; of a shell that is given a command line, the words of that.
pub(super) fn command_line(command: &[String], args: &[String]) -> Vec<String> {
    let words: Vec<_> = command.iter().chain(args).cloned().collect();
    let script = words.windows(3).find_map(|window| match window {
        [shell, flag, script] if SHELLS.contains(&shell.as_str()) && flag == "-c" => Some(script),
        _ => None,
    });
    match script {
        Some(script) => split(script),
        None => words,
    }
}

/// Splits at white space; quotes of either kind keep words together and are taken away. A backslash at the end of a line
/// joins it with the next. Variables are not replaced.
fn split(script: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for char in script.replace("\\\n", " ").chars() {
        match quote {
            Some(open) if char == open => quote = None,
            None if char == '"' || char == '\'' => quote = Some(char),
            None if char.is_whitespace() => words.push(std::mem::take(&mut word)),
            _ => word.push(char),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

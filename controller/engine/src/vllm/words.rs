//! The words of a container's command line.

/// Shells whose `-c` argument is the real command line.
const SHELLS: [&str; 4] = ["/bin/sh", "/bin/bash", "sh", "bash"];

/// Command and arguments; of a shell that is given a script, the commands of that: those that start vLLM, where any does.
pub(super) fn commands(command: &[String], args: &[String]) -> Vec<Vec<String>> {
    let words: Vec<_> = command.iter().chain(args).cloned().collect();
    let script = words.windows(3).find_map(|window| match window {
        [shell, flag, script] if SHELLS.contains(&shell.as_str()) && flag == "-c" => Some(script),
        _ => None,
    });
    let Some(script) = script else { return vec![words] };
    let mut commands = split(script);
    if commands.iter().any(|words| starts_vllm(words)) {
        commands.retain(|words| starts_vllm(words));
    }
    commands
}

fn starts_vllm(words: &[String]) -> bool {
    words.iter().any(|word| word.rsplit('/').next() == Some("vllm") || word.starts_with("vllm.entrypoints"))
}

/// Splits into commands at the ends of lines and at `;`, `&` and `|`, and these into words at white space. Quotes of either
/// kind keep words together and are taken away, a backslash at the end of a line joins it with the next, and a comment is
/// none of it. Variables are not replaced.
fn split(script: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word, mut quote) = (Vec::new(), Vec::new(), String::new(), None);
    let (mut quoted, mut comment) = (false, false);
    for char in script.replace("\\\n", " ").chars() {
        if comment && char != '\n' {
            continue;
        }
        comment = false;
        match quote {
            Some(open) if char == open => quote = None,
            None if char == '"' || char == '\'' => (quote, quoted) = (Some(char), true),
            None if char == '#' && word.is_empty() && !quoted => comment = true,
            None if char.is_whitespace() || matches!(char, ';' | '&' | '|') => {
                words.push(std::mem::take(&mut word));
                quoted = false;
                if char == '\n' || !char.is_whitespace() {
                    commands.push(std::mem::take(&mut words));
                }
            }
            _ => word.push(char),
        }
    }
    words.push(word);
    commands.push(words);
    for words in &mut commands {
        words.retain(|word| !word.is_empty());
    }
    commands.retain(|words| !words.is_empty());
    commands
}

//! Emulated tokens: no vocabulary, only lengths and hashes.
//!
//! One token per whitespace-separated word, plus one for every further eight characters of a long word, so that a
//! load generator can ask for exactly N tokens by sending N short words.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::rng::mix;

/// Characters of a word that one token covers.
const CHARS_PER_TOKEN: usize = 8;

/// The words that answers are made of.
const WORDS: [&str; 32] = [
    "the", "batch", "grows", "while", "tokens", "flow", "through", "every", "layer", "and", "cache", "blocks", "fill",
    "until", "memory", "runs", "short", "then", "younger", "requests", "wait", "for", "their", "turn", "again", "as",
    "older", "ones", "finish", "with", "a", "word",
];

/// A prompt as the engine needs it: its length and the means to tell whether two prompts start alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    token_hashes: Vec<u64>,
}

impl Prompt {
    /// Splits text into tokens.
    pub fn from_text(text: &str) -> Self {
        let mut token_hashes = Vec::new();
        for word in text.split_whitespace() {
            let chars: Vec<char> = word.chars().collect();
            token_hashes.extend(chars.chunks(CHARS_PER_TOKEN).map(hash_of));
        }
        Self { token_hashes }
    }

    /// Takes token ids as they are.
    pub fn from_ids(ids: &[u64]) -> Self {
        Self { token_hashes: ids.iter().map(|id| mix(*id)).collect() }
    }

    /// Number of tokens.
    pub fn len(&self) -> u32 {
        u32::try_from(self.token_hashes.len()).unwrap_or(u32::MAX)
    }

    /// Whether the prompt has no token.
    pub fn is_empty(&self) -> bool {
        self.token_hashes.is_empty()
    }

    /// One hash per full block of `block_size` tokens, each covering all tokens before it too: two prompts share
    /// their first `n` hashes exactly when they share their first `n` blocks.
    pub fn block_hashes(&self, block_size: u32) -> Vec<u64> {
        let block_size = usize::try_from(block_size.max(1)).unwrap_or(usize::MAX);
        let mut chain = 0;
        self.token_hashes
            .chunks_exact(block_size)
            .map(|block| {
                chain = block.iter().fold(chain, |chain, token| mix(chain ^ token));
                chain
            })
            .collect()
    }
}

/// The word that is token `index` of the answer drawn by `seed`.
pub fn answer_token(seed: u64, index: u32) -> &'static str {
    let drawn = mix(seed.wrapping_add(u64::from(index))) % 32;
    WORDS[usize::try_from(drawn).unwrap_or(0)]
}

fn hash_of(chunk: &[char]) -> u64 {
    let mut hasher = DefaultHasher::new();
    chunk.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::empty("", 0)]
    #[case::words("hello big world", 3)]
    #[case::long_word_is_several_tokens("internationalization", 3)]
    #[case::spaces_are_free("  a \n b  ", 2)]
    fn a_short_word_is_one_token(#[case] text: &str, #[case] tokens: u32) {
        assert_eq!(Prompt::from_text(text).len(), tokens);
    }

    #[test]
    fn prompts_share_the_hashes_of_their_common_blocks() {
        let first = Prompt::from_text("a b c d e f g h i").block_hashes(4);
        let second = Prompt::from_text("a b c d e f x h i").block_hashes(4);
        assert_eq!(first.len(), 2, "the ninth token fills no block");
        assert_eq!(first[0], second[0]);
        assert_ne!(first[1], second[1]);
    }

    #[test]
    fn a_block_is_known_only_behind_the_same_blocks() {
        let first = Prompt::from_text("a b c d").block_hashes(2);
        let second = Prompt::from_text("x b c d").block_hashes(2);
        assert_ne!(first[1], second[1], "the same two tokens behind another beginning are another block");
    }
}

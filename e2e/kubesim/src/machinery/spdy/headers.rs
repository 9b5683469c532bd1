//! Blocks of headers: names and values with their lengths, compressed in one go for the whole connection, from a dictionary
//! that both ends know.

use std::collections::HashMap;
use std::io;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::frame::invalid;

/// Words of the dictionary, each preceded by its length.
const WORDS: &str = "options head post put delete trace accept accept-charset accept-encoding accept-language \
    accept-ranges age allow authorization cache-control connection content-base content-encoding content-language \
    content-length content-location content-md5 content-range content-type date etag expect expires from host if-match \
    if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma \
    proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade \
    user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie \
    keep-alive origin";

/// What follows them.
const REST: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 \
    Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not \
    Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov \
    Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,\
    application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,\
    sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

fn dictionary() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1423);
    for word in WORDS.split_whitespace() {
        bytes.extend_from_slice(&u32::try_from(word.len()).unwrap_or_default().to_be_bytes());
        bytes.extend(word.bytes().map(|byte| if byte == b'_' { b' ' } else { byte }));
    }
    bytes.extend_from_slice(REST.as_bytes());
    bytes
}

/// Reads blocks of headers.
pub(super) struct Inflater(Decompress);

impl Inflater {
    pub(super) fn new() -> Self {
        Self(Decompress::new(true))
    }

    /// Headers by name, in lower case.
    pub(super) fn read(&mut self, block: &[u8]) -> io::Result<HashMap<String, String>> {
        let bytes = self.inflate(block)?;
        let mut rest = bytes.as_slice();
        let count = number(&mut rest)?;
        let mut headers = HashMap::new();
        for _ in 0..count {
            let (name, value) = (text(&mut rest)?, text(&mut rest)?);
            headers.insert(name.to_lowercase(), value);
        }
        Ok(headers)
    }

    fn inflate(&mut self, block: &[u8]) -> io::Result<Vec<u8>> {
        /// Headers of streams are a few words.
        const MOST: usize = 1 << 20;
        let mut bytes = Vec::with_capacity(1024);
        let mut rest = block;
        loop {
            let before = self.0.total_in();
            let status = self.0.decompress_vec(rest, &mut bytes, FlushDecompress::Sync);
            rest = &rest[usize::try_from(self.0.total_in() - before).unwrap_or_default()..];
            match status {
                Ok(Status::StreamEnd) => return Ok(bytes),
                Ok(_) if rest.is_empty() && bytes.len() < bytes.capacity() => return Ok(bytes),
                Ok(_) if bytes.len() < MOST => bytes.reserve(1024),
                Ok(_) => return Err(invalid("a block of headers that is too long")),
                Err(error) if error.needs_dictionary().is_some() => {
                    self.0.set_dictionary(&dictionary()).map_err(|error| invalid(&error.to_string()))?;
                }
                Err(error) => return Err(invalid(&format!("a block of headers that is not compressed: {error}"))),
            }
        }
    }
}

fn number(rest: &mut &[u8]) -> io::Result<usize> {
    let (number, after) = rest.split_first_chunk::<4>().ok_or_else(|| invalid("a block of headers that is cut off"))?;
    *rest = after;
    Ok(u32::from_be_bytes(*number) as usize)
}

fn text(rest: &mut &[u8]) -> io::Result<String> {
    let length = number(rest)?;
    let (text, after) = rest.split_at_checked(length).ok_or_else(|| invalid("a block of headers that is cut off"))?;
    *rest = after;
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// Writes blocks of headers.
pub(super) struct Deflater(Compress);

impl Deflater {
    pub(super) fn new() -> Self {
        let mut compress = Compress::new(Compression::fast(), true);
        // It is set before anything is compressed, so that nothing stands against it.
        if let Err(error) = compress.set_dictionary(&dictionary()) {
            tracing::error!(%error, "SPDY headers are compressed without their dictionary");
        }
        Self(compress)
    }

    pub(super) fn write(&mut self, headers: &[(&str, &str)]) -> io::Result<Vec<u8>> {
        let length = |text: &str| u32::try_from(text.len()).unwrap_or_default().to_be_bytes();
        let mut block = u32::try_from(headers.len()).unwrap_or_default().to_be_bytes().to_vec();
        for text in headers.iter().flat_map(|(name, value)| [name, value]) {
            block.extend_from_slice(&length(text));
            block.extend_from_slice(text.as_bytes());
        }
        let mut bytes = Vec::with_capacity(block.len() + 256);
        self.0
            .compress_vec(&block, &mut bytes, FlushCompress::Sync)
            .map_err(|error| invalid(&format!("compressing headers: {error}")))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_has_the_length_of_the_one_in_the_draft() {
        assert_eq!(dictionary().len(), 1423);
    }

    #[test]
    fn blocks_of_one_connection_are_read_one_after_the_other() {
        let (mut deflater, mut inflater) = (Deflater::new(), Inflater::new());
        for port in ["80", "8000"] {
            let block = deflater.write(&[("streamtype", "data"), ("port", port)]).expect("a block");
            let headers = inflater.read(&block).expect("headers");
            assert_eq!(headers.get("port").map(String::as_str), Some(port));
            assert_eq!(headers.get("streamtype").map(String::as_str), Some("data"));
        }
        assert!(inflater.read(b"nonsense").is_err());
    }
}

//! Frames of SPDY/3, as the draft of 2012 lays them out.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

const VERSION: u16 = 3;
const CONTROL: u8 = 0x80;
/// The flag of the last frame that its sender writes to a stream.
const FIN: u8 = 0x01;
/// More than anybody sends at once.
const LONGEST: usize = 1 << 22;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Data of a stream.
    Data(u32),
    SynStream,
    Reset,
    Ping,
    GoAway,
    Headers,
    /// Settings, windows and replies, which mean nothing here.
    Other,
}

/// The first eight bytes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    flags: u8,
    pub(super) length: usize,
}

impl Header {
    pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut bytes = [0; 8];
        from.read_exact(&mut bytes).await?;
        Self::parse(bytes)
    }

    fn parse(bytes: [u8; 8]) -> io::Result<Self> {
        let [a, b, c, d, flags, long, longer, length] = bytes;
        let length = u32::from_be_bytes([0, long, longer, length]) as usize;
        if length > LONGEST {
            return Err(invalid("a frame that is too long"));
        }
        let kind = if a & CONTROL == 0 {
            Kind::Data(u32::from_be_bytes([a, b, c, d]))
        } else {
            if u16::from_be_bytes([a & !CONTROL, b]) != VERSION {
                return Err(invalid("a frame of another version"));
            }
            match u16::from_be_bytes([c, d]) {
                1 => Kind::SynStream,
                3 => Kind::Reset,
                6 => Kind::Ping,
                7 => Kind::GoAway,
                8 => Kind::Headers,
                _ => Kind::Other,
            }
        };
        Ok(Self { kind, flags, length })
    }

    pub(super) fn is_last(self) -> bool {
        self.flags & FIN != 0
    }
}

/// The stream that a control frame is about.
pub(super) fn stream_id(payload: &[u8]) -> io::Result<u32> {
    let bytes = payload.first_chunk::<4>().ok_or_else(|| invalid("a frame that is too short"))?;
    Ok(u32::from_be_bytes(*bytes) & 0x7fff_ffff)
}

pub(super) fn data(stream: u32, last: bool, bytes: &[u8]) -> Vec<u8> {
    framed(stream.to_be_bytes(), if last { FIN } else { 0 }, &[bytes])
}

pub(super) fn syn_reply(stream: u32, headers: &[u8]) -> Vec<u8> {
    control(2, &[&stream.to_be_bytes(), headers])
}

/// The answer to a ping is the same ping.
pub(super) fn ping(payload: &[u8]) -> Vec<u8> {
    control(6, &[payload])
}

fn control(kind: u16, parts: &[&[u8]]) -> Vec<u8> {
    let [a, b] = VERSION.to_be_bytes();
    let [c, d] = kind.to_be_bytes();
    framed([a | CONTROL, b, c, d], 0, parts)
}

fn framed(start: [u8; 4], flags: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut frame = Vec::with_capacity(8 + length);
    frame.extend_from_slice(&start);
    frame.push(flags);
    frame.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()[1..]);
    for part in parts {
        frame.extend_from_slice(part);
    }
    frame
}

pub(super) fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_data_is_read_as_it_was_written() {
        let frame = data(5, true, b"hello");
        let (header, payload) = frame.split_first_chunk::<8>().expect("a header");
        let header = Header::parse(*header).expect("a frame");
        assert_eq!((header.kind, header.length, header.is_last()), (Kind::Data(5), 5, true));
        assert_eq!(payload, b"hello");
    }

    #[test]
    fn frames_of_other_versions_are_refused() {
        assert!(Header::parse([0x80, 2, 0, 1, 0, 0, 0, 0]).is_err());
        assert!(Header::parse([0, 0, 0, 1, 0, 0xff, 0xff, 0xff]).is_err(), "too long");
    }
}

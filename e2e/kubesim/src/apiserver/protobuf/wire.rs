//! The protobuf wire format: numbered fields, each a number or a run of bytes.

/// The content of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payload<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Splits a message into its fields, in the order they stand.
pub(super) fn fields(mut bytes: &[u8]) -> Result<Vec<(u64, Payload<'_>)>, String> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let payload = match key & 7 {
            0 => Payload::Number(varint(&mut bytes)?),
            1 => Payload::Number(u64::from_le_bytes(array(take(&mut bytes, 8)?))),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).map_err(|_| truncated())?;
                Payload::Bytes(take(&mut bytes, length)?)
            }
            5 => Payload::Number(u64::from(u32::from_le_bytes(array(take(&mut bytes, 4)?)))),
            other => return Err(format!("protobuf wire type {other} is not supported")),
        };
        out.push((key >> 3, payload));
    }
    Ok(out)
}

fn truncated() -> String {
    "the protobuf message ends in the middle of a field".to_owned()
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(bytes);
    out
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], String> {
    let (head, rest) = bytes.split_at_checked(length).ok_or_else(truncated)?;
    *bytes = rest;
    Ok(head)
}

fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or_else(truncated)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a protobuf number is longer than 64 bits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_bytes_are_told_apart() {
        // Field 1 = 150, field 2 = "hi".
        let bytes = [0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i'];
        assert_eq!(fields(&bytes), Ok(vec![(1, Payload::Number(150)), (2, Payload::Bytes(b"hi"))]));
    }

    #[test]
    fn a_cut_message_is_refused() {
        assert!(fields(&[0x12, 0x05, b'h']).is_err());
        assert!(fields(&[0x08, 0x96]).is_err());
    }
}

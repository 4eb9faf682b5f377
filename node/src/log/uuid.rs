//! Kafka's text form of a unique identifier: base64 of its 16 bytes, URL-safe, unpadded, 22 characters.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The 22 characters.
#[must_use]
pub fn to_text(id: u128) -> String {
    // 22 characters are 132 bits: four zeros are appended.
    (0..22).map(|at| character(id, at)).collect()
}

fn character(id: u128, at: u32) -> char {
    let shift = 132 - 6 * (at + 1);
    let bits = if shift >= 4 { id >> (shift - 4) } else { id << (4 - shift) };
    let index = usize::try_from(bits & 0x3f).unwrap_or_default();
    char::from(ALPHABET.get(index).copied().unwrap_or(b'A'))
}

/// The identifier of 22 characters; `None` for anything else.
#[must_use]
pub fn parse(text: &str) -> Option<u128> {
    if text.len() != 22 {
        return None;
    }
    let mut id = 0_u128;
    for (at, byte) in text.bytes().enumerate() {
        let value = u128::try_from(ALPHABET.iter().position(|letter| *letter == byte)?).ok()?;
        if at == 21 {
            return (value & 0x0f == 0).then_some((id << 2) | (value >> 4));
        }
        id = (id << 6) | value;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_come_back() {
        for id in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_0011_2233_4455_6677] {
            assert_eq!(parse(&to_text(id)), Some(id));
        }
        assert_eq!(to_text(0), "A".repeat(22));
        assert_eq!(to_text(1), format!("{}Q", "A".repeat(21)));
        assert_eq!(parse("AAAAAAAAAAAAAAAAAAAAAB"), None);
    }
}

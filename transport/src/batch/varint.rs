//! Zigzag variable-length integers, as Kafka's records use them.

use super::BatchError;

/// Reads from untrusted bytes; nothing is allocated, and every read is checked against what is left.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    left: &'a [u8],
    whole: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes, whole: bytes.len() }
    }

    /// Bytes consumed so far.
    pub(super) fn position(&self) -> usize {
        self.whole - self.left.len()
    }

    pub(super) fn left(&self) -> usize {
        self.left.len()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], BatchError> {
        let short = BatchError::Truncated { needs: count, has: self.left.len() };
        let (taken, left) = self.left.split_at_checked(count).ok_or(short)?;
        self.left = left;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, BatchError> {
        let taken = self.take(1)?;
        taken.first().copied().ok_or(BatchError::Varint)
    }

    fn unsigned(&mut self, bits: u32) -> Result<u64, BatchError> {
        let mut value = 0_u64;
        let mut shift = 0;
        loop {
            let byte = self.byte()?;
            let low = u64::from(byte & 0x7f);
            if shift >= bits || (low << shift) >> shift != low {
                return Err(BatchError::Varint);
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    /// A zigzag integer of at most 64 bits.
    pub(super) fn long(&mut self) -> Result<i64, BatchError> {
        let raw = self.unsigned(64)?;
        Ok((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
    }

    /// A zigzag integer of at most 32 bits.
    pub(super) fn int(&mut self) -> Result<i32, BatchError> {
        let raw = self.unsigned(32)?;
        let wide = (raw >> 1).cast_signed() ^ -((raw & 1).cast_signed());
        i32::try_from(wide).map_err(|_| BatchError::Varint)
    }
}

/// Appends a zigzag integer.
pub(super) fn write(out: &mut Vec<u8>, value: i64) {
    let mut raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    loop {
        let low = u8::try_from(raw & 0x7f).expect("seven bits fit a byte");
        raw >>= 7;
        if raw == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// How many bytes [`write()`] appends.
pub(super) fn length(value: i64) -> usize {
    let raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    let bits = (u64::BITS - raw.leading_zeros()).max(1);
    bits.div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_comes_back() {
        for value in
            [0, -1, 1, 63, -64, 64, 300, i64::from(i32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN]
        {
            let mut out = Vec::new();
            write(&mut out, value);

            assert_eq!(length(value), out.len());
            assert_eq!(Cursor::new(&out).long(), Ok(value));
            assert_eq!(Cursor::new(&out).int().ok(), i32::try_from(value).ok());
        }
    }

    #[test]
    fn an_endless_integer_is_refused() {
        assert_eq!(Cursor::new(&[0xff; 12]).long(), Err(BatchError::Varint));
        assert_eq!(Cursor::new(&[0xff; 6]).int(), Err(BatchError::Varint));
        assert_eq!(Cursor::new(&[0x80]).int(), Err(BatchError::Truncated { needs: 1, has: 0 }));
    }
}

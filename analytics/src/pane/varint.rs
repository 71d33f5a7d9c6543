//! Whole numbers as bytes, small ones in few: seven bits a byte, the lowest first (LEB128, DWARF 5, section 7.6).
//!
//! Upstream: [`super::over`] and [`super::speeds`], which keep minutes that are over in so little memory.

/// Appends a number.
#[inline]
pub(super) fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Takes a number off the begin; `None` at the end.
#[inline]
pub(super) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take_byte(bytes)?;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some(number)
}

/// Takes a byte off the begin; `None` at the end.
#[inline]
pub(super) fn take_byte(bytes: &mut &[u8]) -> Option<u8> {
    let (&byte, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(numbers in prop::collection::vec(any::<u64>().prop_flat_map(|n| (0_u32..64).prop_map(move |by| n >> by)), 0..40)) {
            let mut bytes = Vec::new();
            numbers.iter().for_each(|number| put(&mut bytes, *number));
            let mut left = &bytes[..];
            let told: Vec<u64> = std::iter::from_fn(|| take(&mut left)).collect();
            prop_assert_eq!(told, numbers);
        }
    }
}

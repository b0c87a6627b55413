//! Where a JSON object ends that comes in pieces.

/// Follows an object's braces from before its first one.
#[derive(Debug, Default)]
pub struct Braces {
    depth: usize,
    is_string: bool,
    is_escaped: bool,
}

impl Braces {
    /// How much of this piece still belongs to the object, and whether it is complete with that.
    pub fn follow(&mut self, piece: &str) -> (usize, bool) {
        for (at, byte) in piece.bytes().enumerate() {
            if self.is_escaped {
                self.is_escaped = false;
                continue;
            }
            match byte {
                b'\\' if self.is_string => self.is_escaped = true,
                b'"' => self.is_string = !self.is_string,
                b'{' | b'[' if !self.is_string => self.depth += 1,
                b'}' | b']' if !self.is_string => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return (at + 1, true);
                    }
                }
                _ => {}
            }
        }
        (piece.len(), false)
    }
}

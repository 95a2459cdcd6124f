pub fn endpoint(_d: &[u8]) {}

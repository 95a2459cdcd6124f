pub fn handshake_nk(_: &[u8]) {} pub fn handshake_resume(_: &[u8]) {}

pub fn authenticated_peer(_: &[u8]) {}

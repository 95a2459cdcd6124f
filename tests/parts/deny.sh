# Licences, bans and sources of the dependencies by deny.toml. Advisories need a database from outside, so they are not asked here.
need_rust
need_cargo_tool cargo-deny cargo-deny 0.20.2

step "licences, bans, sources" cargo deny --all-features check licenses bans sources

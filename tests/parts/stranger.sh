# A client in another language, written from docs/PROTOCOL.md by somebody who had not seen the code.
need_rust
need python3 python3

step stranger tests/stranger/run

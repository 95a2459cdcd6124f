# The hot paths of the core under valgrind: none may cost more instructions than its baseline. Noise cannot fake a change here, so it may run anywhere.
need_rust
need valgrind valgrind

step instructions tests/hot/run

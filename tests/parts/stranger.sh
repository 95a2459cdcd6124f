# A client in another language, written from docs/PROTOCOL.md by somebody who had not seen the code.
need_rust
need python3 python3
# Without the client's one library a virtual environment is made for it; Debian's Python has its means in a package apart.
python3 -c 'import cryptography' 2>/dev/null || python3 -c 'import ensurepip' 2>/dev/null || apt_install python3-venv ||
  refuse "python3 cannot make a virtual environment; install python3-venv and run again"

step stranger tests/stranger/run && figure "a client written from the document" "[0-9]+ messages each way over [0-9]+ cuts"

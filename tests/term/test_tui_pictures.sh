# The pictures of the README and the guide show what the program shows.
"$OXBOW_SOURCE_DIR/tests/pictures" --check && echo ok

/* find.h - words in a text, as searches and filters on the screen look for them: letters of either
 * case alike. What is found has as many bytes as the words, so the few letters whose other case is
 * longer or shorter in UTF-8 (the capital sharp s) are not. Pure, any thread. */
#ifndef CORE_FIND_H
#define CORE_FIND_H

#include <stddef.h>
#include <stdint.h>

/* Byte of the first place at or behind `from`; SIZE_MAX if there is none, or no words. */
size_t find_words(const char *s, size_t n, size_t from, const char *words);

#endif

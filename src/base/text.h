/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text that came from somebody else: is it UTF-8, and how to show it without letting it act on a terminal or a log. */
#ifndef VG_BASE_TEXT_H
#define VG_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length in bytes (1-4) of the well-formed UTF-8 character at text, its code point in *ret_code; 0 when there is none
 * (RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF). len > 0. */
size_t text_utf8_char(const char *text, size_t len, uint32_t *ret_code);

/* True for a code point that changes how its neighbours look or what a terminal does, instead of being seen itself:
 * C0 and C1 controls, DEL, and the Unicode marks that reorder, hide or break lines (U+200B-200F, U+2028-202E,
 * U+2060-206F, U+FEFF, U+FFF9-FFFB, U+E0000-E007F). */
bool text_is_unseen(uint32_t code);

/* True when text is UTF-8 throughout and holds no unseen character. */
bool text_is_plain(const char *text, size_t len);

/* Writes text to out in a form that is one line, printable, valid UTF-8 and reversible: a backslash becomes \\, every
 * byte of an unseen or malformed character becomes \xHH. Always terminates out; what does not fit is cut at a character
 * and ends in "...". Returns the length written. size >= 4. */
size_t text_escape(char *out, size_t size, const char *text, size_t len);

/* Copies the string in if it fits with its terminator, and clears the rest of out. 0 or -ENAMETOOLONG (out is then
 * empty). */
int text_copy(char *out, size_t size, const char *in);

#endif

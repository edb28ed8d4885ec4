/* embed.S - the default model as read-only bytes of the program, and a table of its files.
 * The list is written by the build from engine/default/: lines `embed "name", "path"`.
 * struct embed_file in embed.h describes one row of the table. */
        .section .note.GNU-stack, "", %progbits

        .macro embed name, path
        .section .rodata.oxembed, "a", %progbits
        .balign 64
.Ldata\@:
        .incbin "\path"
.Lend\@:
        .byte 0
.Lname\@:
        .asciz "\name"
        .section .data.rel.ro.oxembed, "aw", %progbits
        .quad .Lname\@, .Ldata\@, .Lend\@ - .Ldata\@
        .endm

        .section .data.rel.ro.oxembed, "aw", %progbits
        .balign 8
        .globl embed_table
        .hidden embed_table
        .type embed_table, %object
embed_table:
        .include "embed_list.inc"
        .section .data.rel.ro.oxembed, "aw", %progbits
        .quad 0, 0, 0
        .size embed_table, . - embed_table

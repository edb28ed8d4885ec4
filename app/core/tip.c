/* tip.c - see tip.h. */
#include "app/core/tip.h"

void tip_find(const struct chat *c, int64_t question, int64_t answer, int64_t *want, int *moment) {
    *want = 0;
    *moment = 1;
    for (size_t i = 0; i < c->n; i++) {
        const struct chat_node *n = &c->node[i];
        if (n->parent != question || n->id == answer || n->id <= 0 || n->role != OX_ROLE_ASSISTANT)
            continue;
        *want = n->id;
        *moment = 0;
    }
    if (*want) return;
    const struct chat_node *q = chat_find(c, question),
                           *before = q && q->parent ? chat_find(c, q->parent) : NULL;
    if (before && before->role == OX_ROLE_ASSISTANT && before->id > 0) *want = before->id;
}

/* import_chatgpt.c - see import_chatgpt.h. A conversation is a "mapping" of nodes, each with
 * parent, children and perhaps a message: a tree, because edited questions and regenerated answers
 * stay. */
#include "app/import_chatgpt.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_BYTES = 1024, ID_BYTES = 128 };

/* ---- one message ---------------------------------------------------------------------------- */

static const char *str(const json_t *object, const char *key) {
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

static int64_t time_of(const json_t *object, const char *key) {
    double s = json_number_value(json_object_get(object, key));
    return s > 0 && s < 1e11 ? (int64_t)(s * 1e6) : 0;
}

static int add_string(struct buf *out, const json_t *s, ox_err *err) {
    int rc = out->n ? buf_puts(out, "\n\n", err) : 0;
    return rc ? rc : buf_add(out, json_string_value(s), json_string_length(s), err);
}

/* Parts are texts, or objects that stand for images, sound (with its words) and files. */
static int read_parts(struct foreign *f, const json_t *content, struct buf *text, ox_err *err) {
    size_t i;
    json_t *part;
    int rc = 0;
    json_array_foreach(json_object_get(content, "parts"), i, part) {
        const json_t *words = json_is_string(part) ? part : json_object_get(part, "text");
        if (json_is_string(words) && json_string_length(words) && !rc)
            rc = add_string(text, words, err);
        else if (json_is_object(part))
            f->left[FOREIGN_ATTACHMENT]++;
    }
    return rc;
}

static int read_thoughts(const json_t *content, struct buf *thought, ox_err *err) {
    size_t i;
    json_t *one;
    int rc = 0;
    json_array_foreach(json_object_get(content, "thoughts"), i, one) {
        const json_t *words = json_object_get(one, "content");
        if (!json_string_length(words)) words = json_object_get(one, "summary");
        if (!rc && json_string_length(words)) rc = add_string(thought, words, err);
    }
    return rc;
}

static const char *state_of(const json_t *message) {
    const json_t *details = json_object_get(json_object_get(message, "metadata"), "finish_details");
    const char *status = str(message, "status");
    if (strcmp(str(details, "type"), "max_tokens") == 0) return "length";
    bool is_done = !*status || strncmp(status, "finished", 8) == 0;
    return is_done && strcmp(str(details, "type"), "interrupted") != 0 ? "done" : "stopped";
}

static bool is_hidden(const json_t *message) {
    const json_t *meta = json_object_get(message, "metadata"),
                 *weight = json_object_get(message, "weight");
    return json_is_true(json_object_get(meta, "is_visually_hidden_from_conversation")) ||
           json_is_true(json_object_get(meta, "is_user_system_message")) ||
           (json_is_number(weight) && json_number_value(weight) == 0);
}

/* What becomes of a message. The role is one of ours when it is SAID. */
enum kind { SAID, THOUGHT, NOTHING, LEFT };

static enum kind sort(const json_t *message, bool has_parent, enum foreign_left *why) {
    static const char *const hidden[] = {"user_editable_context", "model_editable_context",
                                         "reasoning_recap", "app_pairing_content"};
    const json_t *content = json_object_get(message, "content");
    const char *role = str(json_object_get(message, "author"), "role");
    const char *type = str(content, "content_type"), *to = str(message, "recipient");
    bool is_text = strcmp(type, "text") == 0 || strcmp(type, "multimodal_text") == 0;
    const json_t *parts = json_object_get(content, "parts");
    *why = FOREIGN_HIDDEN;
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
        if (strcmp(type, hidden[i]) == 0) return LEFT;
    if (strcmp(role, "system") == 0 && is_text && json_array_size(parts) < 2 &&
        !json_string_length(json_array_get(parts, 0)))
        return NOTHING; /* the empty root that every conversation has */
    if (strcmp(type, "thoughts") == 0) return THOUGHT;
    if (is_hidden(message) || (strcmp(role, "system") == 0 && has_parent)) return LEFT;
    *why = FOREIGN_TOOL;
    if (strcmp(role, "tool") == 0 || (*to && strcmp(to, "all") != 0)) return LEFT;
    *why = FOREIGN_OTHER;
    bool is_ours =
        strcmp(role, "user") == 0 || strcmp(role, "assistant") == 0 || strcmp(role, "system") == 0;
    return is_ours && (is_text || strcmp(type, "code") == 0) ? SAID : LEFT;
}

/* ---- the tree ------------------------------------------------------------------------------- */

struct node {
    const char *id;
    json_t *json;
    size_t no; /* of its message, or of the nearest one above it; 0: none */
    bool is_visited;
    struct buf thought; /* for the next words of the assistant below */
};

struct tree {
    struct foreign *f;
    struct node *node;
    size_t n;
    json_t *at;    /* id > index in node */
    size_t *stack; /* of indexes; parents are visited before children */
    size_t n_stack, cap_stack;
};

static struct node *find_node(const struct tree *t, const json_t *id) {
    const json_t *i = json_is_string(id) ? json_object_get(t->at, json_string_value(id)) : NULL;
    return i ? &t->node[json_integer_value(i)] : NULL;
}

static int push(struct tree *t, const struct node *n, ox_err *err) {
    int rc = ox_grow(&t->stack, &t->cap_stack, t->n_stack + 1, sizeof *t->stack, err);
    if (!rc) t->stack[t->n_stack++] = (size_t)(n - t->node);
    return rc;
}

static int take_message(struct tree *t, struct node *n, const json_t *message, ox_err *err) {
    struct foreign *f = t->f;
    struct buf text = {0};
    const json_t *content = json_object_get(message, "content");
    enum foreign_left why;
    int rc = 0;
    switch (sort(message, n->no != 0, &why)) {
    case NOTHING: return 0;
    case LEFT: f->left[why]++; return 0;
    case THOUGHT: return read_thoughts(content, &n->thought, err);
    case SAID: break;
    }
    const json_t *code = json_object_get(content, "text");
    rc = json_is_string(code) ? add_string(&text, code, err) : read_parts(f, content, &text, err);
    const char *role = str(json_object_get(message, "author"), "role");
    bool has_thought = strcmp(role, "assistant") == 0 && n->thought.n;
    const struct foreign_message m = {.parent = n->no,
                                      .role = role,
                                      .text = buf_str(&text),
                                      .n_text = text.n,
                                      .thought = buf_str(&n->thought),
                                      .n_thought = has_thought ? n->thought.n : 0,
                                      .created_us = time_of(message, "create_time"),
                                      .state = state_of(message)};
    if (!rc && (text.n || has_thought)) {
        rc = foreign_add(f, &m, err);
        if (!rc) n->no = f->n_messages;
        buf_cut(&n->thought, 0);
    }
    buf_deinit(&text);
    return rc;
}

/* Everything below a node that has no parent. */
static int walk(struct tree *t, struct node *root, ox_err *err) {
    root->is_visited = true;
    int rc = push(t, root, err);
    while (!rc && t->n_stack) {
        struct node *n = &t->node[t->stack[--t->n_stack]];
        const json_t *message = json_object_get(n->json, "message");
        const json_t *children = json_object_get(n->json, "children");
        if (json_is_object(message)) rc = take_message(t, n, message, err);
        for (size_t i = json_array_size(children); !rc && i-- > 0;) {
            struct node *child = find_node(t, json_array_get(children, i));
            if (!child || child->is_visited) continue;
            child->is_visited = true;
            child->no = n->no;
            rc = buf_add(&child->thought, buf_str(&n->thought), n->thought.n, err);
            if (!rc) rc = push(t, child, err);
        }
    }
    return rc;
}

static int index_nodes(struct tree *t, json_t *mapping, ox_err *err) {
    const char *id;
    json_t *node;
    t->at = json_object();
    t->node = ox_alloc(json_object_size(mapping), sizeof *t->node, "messages", err);
    if (!t->at || !t->node) return OX_ENOMEM;
    json_object_foreach(mapping, id, node) {
        if (json_object_set_new(t->at, id, json_integer((json_int_t)t->n))) return OX_ENOMEM;
        t->node[t->n++] = (struct node){.id = id, .json = node};
    }
    return 0;
}

static void tree_deinit(struct tree *t) {
    for (size_t i = 0; i < t->n; i++)
        buf_deinit(&t->node[i].thought);
    ox_free(t->node);
    ox_free(t->stack);
    json_decref(t->at);
}

static int read_conversation(struct foreign *f, const json_t *c, ox_err *err) {
    json_t *mapping = json_object_get(c, "mapping");
    struct tree t = {.f = f};
    char id[ID_BYTES];
    if (!json_is_object(mapping)) {
        f->left[FOREIGN_OTHER]++;
        return 0;
    }
    int rc = index_nodes(&t, mapping, err);
    for (size_t i = 0; !rc && i < t.n; i++)
        if (!find_node(&t, json_object_get(t.node[i].json, "parent")) && !t.node[i].is_visited)
            rc = walk(&t, &t.node[i], err);
    for (size_t i = 0; i < t.n; i++) /* a loop, or a child that its parent does not know */
        if (!t.node[i].is_visited && json_is_object(json_object_get(t.node[i].json, "message")))
            f->left[FOREIGN_OTHER]++;
    const struct node *leaf = find_node(&t, json_object_get(c, "current_node"));
    snprintf(id, sizeof id, "%s",
             *str(c, "conversation_id") ? str(c, "conversation_id") : str(c, "id"));
    const struct foreign_session s = {.source = "chatgpt",
                                      .id = id,
                                      .title = str(c, "title"),
                                      .leaf = leaf ? leaf->no : 0,
                                      .created_us = time_of(c, "create_time"),
                                      .updated_us = time_of(c, "update_time")};
    if (!rc) rc = foreign_end(f, &s, err);
    tree_deinit(&t);
    return rc;
}

/* ---- files ---------------------------------------------------------------------------------- */

static int explain(const char *path, const json_error_t *e, ox_err *err) {
    FILE *f = fopen(path, "re");
    char magic[2] = "";
    bool is_zip = f && fread(magic, 1, 2, f) == 2 && memcmp(magic, "PK", 2) == 0;
    if (f) fclose(f);
    if (is_zip) {
        ox_err_set(err, OX_EFORMAT, "%s is the archive itself", path);
        return ox_err_fix(err, "unpack it, and name its folder or its conversations.json");
    }
    if (e->line <= 0) {
        int code = json_error_code(e) == json_error_cannot_open_file ? OX_ENOTFOUND : OX_EFORMAT;
        return ox_err_set(err, code, "cannot read %s: %s", path, e->text);
    }
    ox_err_set(err, OX_EFORMAT, "%s, line %d, column %d: %s", path, e->line, e->column, e->text);
    return ox_err_fix(err, "nothing was imported; it must be a conversations.json as exported");
}

static int read_file(const char *path, struct foreign *f, ox_err *err) {
    json_error_t e;
    bool is_stdin = strcmp(path, "-") == 0;
    json_t *all =
        is_stdin ? json_loadf(stdin, JSON_ALLOW_NUL, &e) : json_load_file(path, JSON_ALLOW_NUL, &e);
    if (!all) return explain(path, &e, err);
    size_t i;
    json_t *c;
    int rc = 0;
    if (json_is_object(all)) { /* one conversation, as browser tools save it */
        rc = read_conversation(f, all, err);
    } else {
        json_array_foreach(all, i, c) if (!rc) rc = read_conversation(f, c, err);
    }
    json_decref(all);
    return rc;
}

static int is_part(const struct dirent *e) {
    size_t n = strlen(e->d_name);
    return strncmp(e->d_name, "conversations", 13) == 0 && n > 5 &&
           strcmp(e->d_name + n - 5, ".json") == 0;
}

static int read_folder(const char *path, struct foreign *f, ox_err *err) {
    struct dirent **part = NULL;
    int n = scandir(path, &part, is_part, alphasort), rc = 0;
    for (int i = 0; i < n; i++) {
        char name[PATH_BYTES];
        snprintf(name, sizeof name, "%s/%s", path, part[i]->d_name);
        if (!rc) rc = read_file(name, f, err);
        free(part[i]); /* scandir's own */
    }
    free(part);
    if (n > 0) return rc;
    ox_err_set(err, OX_ENOTFOUND, "there is no conversations.json in %s", path);
    return ox_err_fix(err, "name the folder that the archive was unpacked to");
}

int import_chatgpt(const char *path, struct foreign *out, ox_err *err) {
    struct stat sb;
    bool is_folder = stat(path, &sb) == 0 && S_ISDIR(sb.st_mode);
    int rc = is_folder ? read_folder(path, out, err) : read_file(path, out, err);
    if (!rc && !out->lines.n) {
        ox_err_set(err, OX_EFORMAT, "%s holds no conversation", path);
        rc = ox_err_fix(err, "it must be a conversations.json as exported");
    }
    return rc ? ox_err_wrap(err, rc, "read the ChatGPT export") : 0;
}

/* A store for the servers of one process, in C: what a host has to bring for `unbroken_endpoint_poll_store`, to the letter of the header.
 * Everything is in small tables; a real store has a disk or a network behind it. */
#ifndef STORE_H
#define STORE_H

#include "check.h"

enum { PLACES = 16, OLDEST = 2000000 /* microseconds that a RECEIVE may wait */ };

typedef struct {
    uint8_t *data;
    size_t len;
} blob;

typedef struct {
    int used;
    uint8_t key[8], owner[16];
    int32_t kind;
    uint64_t token, until, gone;
    uint64_t last; /* where the last message of its queue stands */
    blob data;
} record;

/* A message of a session's queue, or a note in an owner's mailbox. */
typedef struct {
    int used;
    uint8_t name[16];
    uint64_t cursor, until;
    blob data;
} letter;

typedef struct {
    int used;
    uint8_t owner[16];
    uint64_t until;
} lease;

typedef struct {
    int used;
    /* The session that the user has, and the one before; a store for more than this test remembers more of them. */
    uint8_t has_former;
    uint8_t user[32], key[8], former[8];
} binding;

/* A RECEIVE that waits for notes. */
typedef struct {
    unbroken_endpoint *endpoint;
    uint64_t id, until;
    uint8_t owner[16];
} waiting;

typedef struct {
    record records[PLACES];
    letter queue[PLACES], notes[PLACES];
    lease leases[PLACES];
    binding users[PLACES];
    waiting waiters[PLACES];
    uint64_t noted;
    int broken; /* everything is answered with UNAVAILABLE */
    uint64_t asked[10]; /* how often each operation was asked for */
} store;

static inline void store_begin(store *all) {
    memset(all, 0, sizeof *all);
}

static inline blob copy_of(const uint8_t *data, size_t len) {
    blob copy = {(uint8_t *)malloc(len + 1), len};
    CHECK(copy.data != NULL);
    if (len > 0) {
        memcpy(copy.data, data, len);
    }
    return copy;
}

/* A free place of a table. */
#define PLACE(table, place)                                                                                            \
    do {                                                                                                               \
        (place) = NULL;                                                                                                \
        for (size_t at = 0; at < PLACES && (place) == NULL; at++) {                                                    \
            (place) = (table)[at].used ? NULL : &(table)[at];                                                          \
        }                                                                                                              \
        CHECK((place) != NULL);                                                                                        \
        memset((place), 0, sizeof *(place));                                                                           \
        (place)->used = 1;                                                                                             \
    } while (0)

static inline record *record_of(store *all, const uint8_t key[8], uint64_t now) {
    for (size_t i = 0; i < PLACES; i++) {
        record *one = &all->records[i];
        if (one->used && one->gone <= now) {
            free(one->data.data);
            one->used = 0;
        }
        if (one->used && memcmp(one->key, key, 8) == 0) {
            return one;
        }
    }
    return NULL;
}

static inline lease *lease_of(store *all, const uint8_t owner[16], uint64_t now) {
    for (size_t i = 0; i < PLACES; i++) {
        lease *one = &all->leases[i];
        if (one->used && one->until > now && memcmp(one->owner, owner, 16) == 0) {
            return one;
        }
    }
    return NULL;
}

static inline void store_letter(letter *table, const uint8_t *name, size_t name_len, uint64_t cursor, uint64_t until, blob data) {
    letter *place;
    PLACE(table, place);
    memcpy(place->name, name, name_len);
    place->cursor = cursor;
    place->until = until;
    place->data = data;
}

/* Takes out of a table what is `name`'s, up to a cursor. */
static inline void forget(letter *table, const uint8_t *name, size_t name_len, uint64_t upto) {
    for (size_t i = 0; i < PLACES; i++) {
        if (table[i].used && table[i].cursor <= upto && memcmp(table[i].name, name, name_len) == 0) {
            free(table[i].data.data);
            table[i].used = 0;
        }
    }
}

/* What is `name`'s in a table behind a cursor, in order; the places are in order of age only by their cursors. */
static inline size_t gather(const letter *table, const uint8_t *name, size_t name_len, uint64_t after, uint64_t now, size_t max,
                            unbroken_store_item items[PLACES]) {
    size_t count = 0;
    while (count < max && count < PLACES) {
        const letter *next = NULL;
        for (size_t i = 0; i < PLACES; i++) {
            const letter *one = &table[i];
            if (one->used && one->until > now && one->cursor > after && memcmp(one->name, name, name_len) == 0 &&
                (next == NULL || one->cursor < next->cursor)) {
                next = one;
            }
        }
        if (next == NULL) {
            break;
        }
        items[count].cursor = after = next->cursor;
        items[count].data = next->data.data;
        items[count].len = next->data.len;
        count++;
    }
    return count;
}

static inline int32_t put(store *all, const unbroken_store_request *asked, const blob *data, uint64_t now) {
    record *there = record_of(all, asked->key, now);
    int32_t kind = there != NULL && there->until > now ? there->kind : UNBROKEN_RECORD_NONE;
    if (kind != asked->expect || (kind != UNBROKEN_RECORD_NONE && there->token != asked->expect_token) ||
        (kind == UNBROKEN_RECORD_LIVE && memcmp(there->owner, asked->expect_owner, 16) != 0)) {
        return UNBROKEN_REPLY_CONFLICT;
    }
    if (there != NULL) {
        free(there->data.data);
    } else {
        PLACE(all->records, there);
        memcpy(there->key, asked->key, 8);
    }
    there->kind = asked->record;
    there->token = asked->token;
    memcpy(there->owner, asked->owner, 16);
    there->data = copy_of(data->data, data->len);
    there->until = now + asked->life_us;
    there->gone = there->until + (there->kind == UNBROKEN_RECORD_PARKED ? asked->linger_us : 0);
    return UNBROKEN_REPLY_DONE;
}

static inline int32_t take_lease(store *all, const unbroken_store_request *asked, uint64_t now) {
    lease *mine = lease_of(all, asked->owner, now);
    if (asked->life_us == 0) {
        forget(all->notes, asked->owner, 16, UINT64_MAX);
        if (mine != NULL) {
            mine->used = 0;
        }
        return UNBROKEN_REPLY_DONE;
    }
    if (mine == NULL) {
        PLACE(all->leases, mine);
        memcpy(mine->owner, asked->owner, 16);
    }
    mine->until = now + asked->life_us;
    return UNBROKEN_REPLY_DONE;
}

static inline int32_t store_append(store *all, const uint8_t key[8], const uint8_t *data, size_t len, uint64_t life,
                                   unbroken_store_reply *reply, uint64_t now) {
    record *there = record_of(all, key, now);
    if (there == NULL || there->until <= now || there->kind == UNBROKEN_RECORD_TOMB) {
        return UNBROKEN_REPLY_NO_SESSION;
    }
    reply->cursor = ++there->last;
    store_letter(all->queue, key, 8, reply->cursor, now + life, copy_of(data, len));
    if (there->kind == UNBROKEN_RECORD_LIVE) {
        memcpy(reply->owner, there->owner, 16);
    }
    return UNBROKEN_REPLY_APPENDED;
}

static inline int32_t store_send(store *all, const uint8_t owner[16], const uint8_t *data, size_t len, uint64_t now) {
    CHECK(len <= 512);
    if (lease_of(all, owner, now) == NULL) {
        return UNBROKEN_REPLY_CONFLICT;
    }
    store_letter(all->notes, owner, 16, ++all->noted, UINT64_MAX, copy_of(data, len));
    return UNBROKEN_REPLY_DONE;
}

static inline int32_t bind(store *all, const unbroken_store_request *asked, unbroken_store_reply *reply) {
    binding *theirs = NULL;
    for (size_t i = 0; i < PLACES; i++) {
        if (all->users[i].used && memcmp(all->users[i].user, asked->user, 32) == 0) {
            theirs = &all->users[i];
        }
    }
    if (theirs == NULL) {
        PLACE(all->users, theirs);
        memcpy(theirs->user, asked->user, 32);
    } else if (theirs->has_former && memcmp(theirs->former, asked->key, 8) == 0) {
        return UNBROKEN_REPLY_CONFLICT;
    } else if (memcmp(theirs->key, asked->key, 8) != 0) {
        theirs->has_former = 1;
        memcpy(theirs->former, theirs->key, 8);
    }
    memcpy(theirs->key, asked->key, 8);
    reply->has_key = theirs->has_former;
    memcpy(reply->key, theirs->former, 8);
    return UNBROKEN_REPLY_BOUND;
}

static inline void peek(store *all, const uint8_t key[8], unbroken_store_reply *reply, uint64_t now) {
    const record *there = record_of(all, key, now);
    if (there != NULL) {
        reply->record = there->kind;
        reply->token = there->token;
        memcpy(reply->owner, there->owner, 16);
        reply->data = there->data.data;
        reply->len = there->data.len;
        reply->expired = there->until <= now;
        reply->owner_alive = there->kind == UNBROKEN_RECORD_LIVE && lease_of(all, there->owner, now) != NULL;
    }
}

/* Carries one request out; 0 if it is to be answered later. */
static inline int store_apply(store *all, unbroken_endpoint *endpoint, const unbroken_store_request *asked, const blob *data,
                              unbroken_store_reply *reply, unbroken_store_item items[PLACES], uint64_t now) {
    reply->items = items;
    switch (asked->op) {
    case UNBROKEN_STORE_PEEK:
        reply->kind = UNBROKEN_REPLY_PEEKED;
        peek(all, asked->key, reply, now);
        break;
    case UNBROKEN_STORE_PUT: reply->kind = put(all, asked, data, now); break;
    case UNBROKEN_STORE_LEASE: reply->kind = take_lease(all, asked, now); break;
    case UNBROKEN_STORE_SEND: reply->kind = store_send(all, asked->owner, data->data, data->len, now); break;
    case UNBROKEN_STORE_RECEIVE:
        for (size_t i = 0; i < PLACES; i++) {
            if (all->waiters[i].endpoint == NULL) {
                all->waiters[i].endpoint = endpoint;
                all->waiters[i].id = asked->id;
                all->waiters[i].until = now + OLDEST;
                memcpy(all->waiters[i].owner, asked->owner, 16);
                return 0;
            }
        }
        check_failed(__FILE__, __LINE__, "more RECEIVEs than one for each endpoint");
        break;
    case UNBROKEN_STORE_APPEND:
        reply->kind = store_append(all, asked->key, data->data, data->len, asked->life_us, reply, now);
        break;
    case UNBROKEN_STORE_READ:
        reply->kind = UNBROKEN_REPLY_MESSAGES;
        reply->item_count = gather(all->queue, asked->key, 8, asked->cursor, now, asked->max, items);
        break;
    case UNBROKEN_STORE_TRIM:
        forget(all->queue, asked->key, 8, asked->cursor);
        reply->kind = UNBROKEN_REPLY_DONE;
        break;
    case UNBROKEN_STORE_BIND: reply->kind = bind(all, asked, reply); break;
    default: check_failed(__FILE__, __LINE__, "an operation that the header does not know");
    }
    return 1;
}

static inline void answer_waiters(store *all, unbroken_endpoint *endpoint, uint64_t now) {
    for (size_t i = 0; i < PLACES; i++) {
        waiting *one = &all->waiters[i];
        unbroken_store_item items[PLACES];
        unbroken_store_reply reply;
        if (one->endpoint != endpoint || endpoint == NULL) {
            continue;
        }
        OK(unbroken_store_reply_init(&reply, sizeof reply));
        reply.kind = UNBROKEN_REPLY_NOTES;
        reply.items = items;
        reply.item_count = gather(all->notes, one->owner, 16, 0, now, PLACES, items);
        if (reply.item_count > 0 || one->until <= now) {
            OK(unbroken_endpoint_handle_store(endpoint, one->id, &reply, now));
            forget(all->notes, one->owner, 16, UINT64_MAX);
            one->endpoint = NULL;
        }
    }
}

/* Carries out all that an endpoint asks for. */
static inline void store_serve(store *all, unbroken_endpoint *endpoint, uint64_t now) {
    unbroken_store_request asked;
    while (unbroken_endpoint_poll_store(endpoint, &asked) == UNBROKEN_OK) {
        unbroken_store_item items[PLACES];
        unbroken_store_reply reply;
        size_t len = 0;
        uint8_t *bytes = (uint8_t *)malloc((size_t)asked.data_len + 1);
        CHECK(bytes != NULL);
        if (asked.data_len > 0) {
            STATUS(unbroken_endpoint_store_data(endpoint, bytes, (size_t)asked.data_len - 1, &len), UNBROKEN_ERR_BUFFER_TOO_SMALL);
            CHECK(len == asked.data_len);
        }
        OK(unbroken_endpoint_store_data(endpoint, bytes, (size_t)asked.data_len, &len));
        CHECK(len == asked.data_len);
        blob data = {bytes, len};
        all->asked[asked.op]++;
        OK(unbroken_store_reply_init(&reply, sizeof reply));
        if (all->broken) {
            reply.kind = UNBROKEN_REPLY_UNAVAILABLE;
        }
        if (all->broken || store_apply(all, endpoint, &asked, &data, &reply, items, now)) {
            OK(unbroken_endpoint_handle_store(endpoint, asked.id, &reply, now));
        }
        free(bytes);
    }
    answer_waiters(all, endpoint, now);
}

/* The endpoint is no more. */
static inline void store_abandon(store *all, const unbroken_endpoint *endpoint) {
    for (size_t i = 0; i < PLACES; i++) {
        if (all->waiters[i].endpoint == endpoint) {
            all->waiters[i].endpoint = NULL;
        }
    }
}

static inline void store_end(store *all) {
    for (size_t i = 0; i < PLACES; i++) {
        if (all->records[i].used) {
            free(all->records[i].data.data);
        }
        if (all->queue[i].used) {
            free(all->queue[i].data.data);
        }
        if (all->notes[i].used) {
            free(all->notes[i].data.data);
        }
    }
}

#endif

/* Sessions that move between two servers of one process, through a store that is written in C: a planned end, a client that shows up elsewhere, a
 * server that dies, a store that fails, a user who begins anew, and one who is put out wherever he is. */
#include "store.h"

enum { MOST = 500 };

/* One server and its application, whose whole state is how many messages it has taken. */
typedef struct {
    unbroken_endpoint *endpoint;
    store *shelf;
    uint8_t id[16];
    uint64_t taken, mails;
    int established, restored, swapped_out, swap_out_failed, closed, mail_told;
    int32_t reason;
    uint32_t code;
    int bound; /* the restored session had a user */
} server;

typedef struct {
    unbroken_session *session;
    unbroken_loopback *network;
    uint64_t sent, taken; /* sent to the server, taken from it */
    int handovers, same_server, closed;
    int32_t reason;
    uint32_t code;
} client;

static uint64_t now;

/* Each another one, and the same in every run. */
static void next_seed(uint8_t seed[32]) {
    static uint8_t seeds = 0;
    constant_key(seed, ++seeds);
}

static void server_begin(server *s, store *shelf, int32_t durability) {
    unbroken_server_config config;
    uint8_t keys[64], seed[32], owner[16];
    int32_t owes = -1;
    memset(s, 0, sizeof *s);
    s->shelf = shelf;
    server_config(&config, keys);
    config.durability = durability;
    next_seed(seed);
    OK(unbroken_endpoint_new(&config, seed, now, &s->endpoint));
    OK(unbroken_endpoint_owner(s->endpoint, owner));
    OK(unbroken_endpoint_owes_store(s->endpoint, &owes));
    CHECK(owes == 0);
}

static void server_end(server *s) {
    store_abandon(s->shelf, s->endpoint);
    OK(unbroken_endpoint_free(s->endpoint));
    s->endpoint = NULL;
}

static void client_begin(client *c, server *s) {
    unbroken_client_config config;
    uint8_t pin[32], seed[32];
    memset(c, 0, sizeof *c);
    client_config(&config, pin);
    next_seed(seed);
    OK(unbroken_session_connect(&config, seed, now, &c->session));
    OK(unbroken_loopback_new(c->session, s->endpoint, &c->network));
}

static void client_end(client *c) {
    OK(unbroken_loopback_free(c->network));
    OK(unbroken_session_free(c->session));
}

static void restored(server *s, const unbroken_event *event) {
    uint8_t app[8], user[8];
    size_t length = 0;
    CHECK(event->has_app == 1 && event->data_len == sizeof app);
    STATUS(unbroken_endpoint_event_data(s->endpoint, app, 7, &length), UNBROKEN_ERR_BUFFER_TOO_SMALL);
    CHECK(length == sizeof app);
    OK(unbroken_endpoint_event_data(s->endpoint, app, sizeof app, &length));
    memcpy(&s->taken, app, sizeof app);
    CHECK(event->user_len == (event->has_user ? 4 : 0));
    if (event->has_user) {
        STATUS(unbroken_endpoint_event_user(s->endpoint, user, 3, &length), UNBROKEN_ERR_BUFFER_TOO_SMALL);
        OK(unbroken_endpoint_event_user(s->endpoint, user, sizeof user, &length));
        CHECK(length == 4 && memcmp(user, "nina", 4) == 0);
        s->bound = 1;
    }
    memcpy(s->id, event->session, 16);
    s->restored++;
}

static void server_events(server *s) {
    static const uint8_t nothing_yet[8] = {0};
    unbroken_event event;
    while (unbroken_endpoint_poll_event(s->endpoint, &event) == UNBROKEN_OK) {
        switch (event.kind) {
        case UNBROKEN_EVENT_AUTHORISE:
            memcpy(s->id, event.session, 16);
            OK(unbroken_endpoint_session_authorise_with(s->endpoint, s->id, 1, 0, NULL, 0, nothing_yet, sizeof nothing_yet));
            break;
        case UNBROKEN_EVENT_ESTABLISHED: s->established++; break;
        case UNBROKEN_EVENT_RESTORED: restored(s, &event); break;
        case UNBROKEN_EVENT_SWAPPED_OUT: s->swapped_out++; break;
        case UNBROKEN_EVENT_SWAP_OUT_FAILED: s->swap_out_failed++; break;
        case UNBROKEN_EVENT_MAIL: s->mail_told++; break;
        case UNBROKEN_EVENT_CLOSED:
            s->closed++;
            s->reason = event.close;
            s->code = event.code;
            break;
        default: break;
        }
    }
}

static void server_turn(server *s) {
    const uint8_t *data = NULL;
    size_t length = 0;
    int64_t number = -1;
    uint8_t id[16];
    OK(unbroken_endpoint_handle_timeout(s->endpoint, now));
    server_events(s);
    while (unbroken_endpoint_session_recv(s->endpoint, s->id, &data, &length, &number) == UNBROKEN_OK) {
        CHECK(number == (int64_t)s->taken && is_message(data, length, s->taken, MOST));
        s->taken++;
    }
    while (unbroken_endpoint_session_recv_mail(s->endpoint, s->id, &data, &length) == UNBROKEN_OK) {
        s->mails++;
        CHECK(length == 6 && memcmp(data, "mail ", 5) == 0);
    }
    server_events(s);
    while (unbroken_endpoint_poll_snapshot(s->endpoint, id) == UNBROKEN_OK) {
        OK(unbroken_endpoint_save(s->endpoint, id, 1, (const uint8_t *)&s->taken, sizeof s->taken));
    }
    store_serve(s->shelf, s->endpoint, now);
}

static void client_turn(client *c) {
    const uint8_t *data = NULL;
    size_t length = 0;
    int64_t number = -1;
    unbroken_event event;
    if (c->network != NULL) {
        CHECK(unbroken_loopback_step(c->network, now) >= 0);
    }
    while (unbroken_session_poll_event(c->session, &event) == UNBROKEN_OK) {
        if (event.kind == UNBROKEN_EVENT_HANDOVER_END) {
            c->handovers++;
            c->same_server = event.same_server;
        } else if (event.kind == UNBROKEN_EVENT_CLOSED) {
            c->closed++;
            c->reason = event.close;
            c->code = event.code;
        }
    }
    while (unbroken_session_recv(c->session, &data, &length, &number) == UNBROKEN_OK) {
        CHECK(number == (int64_t)c->taken && is_message(data, length, c->taken, MOST));
        c->taken++;
    }
}

/* Some milliseconds for everybody; whoever is not there is null. */
static void go(int steps, client *c, server *first, server *second) {
    for (int i = 0; i < steps; i++) {
        if (c != NULL) {
            client_turn(c);
        }
        if (first != NULL) {
            server_turn(first);
        }
        if (second != NULL) {
            server_turn(second);
        }
        now += 1000;
    }
}

static void say(client *c, int messages) {
    uint8_t message[MOST];
    for (int i = 0; i < messages; i++, c->sent++) {
        OK(unbroken_session_send(c->session, message, fill_message(message, c->sent, MOST), NULL));
    }
}

static void answer(server *s, uint64_t first, uint64_t end) {
    uint8_t message[MOST];
    for (uint64_t number = first; number < end; number++) {
        uint64_t given = UINT64_MAX;
        OK(unbroken_endpoint_session_send(s->endpoint, s->id, message, fill_message(message, number, MOST), &given));
        CHECK(given == number);
    }
}

/* The client's link breaks; the next one leads to another server. */
static void lead_to(client *c, server *s) {
    STATUS(unbroken_loopback_cut(c->network, now), UNBROKEN_OK);
    OK(unbroken_loopback_free(c->network));
    c->network = NULL;
    if (s != NULL) {
        OK(unbroken_loopback_new(c->session, s->endpoint, &c->network));
    }
}

/* Somebody, anywhere, writes to the session. */
static void mail(store *shelf, const uint8_t id[16], const char *text) {
    static const uint8_t nobody[16] = {0};
    uint8_t note[64];
    size_t length = 0;
    unbroken_store_reply reply;
    OK(unbroken_store_reply_init(&reply, sizeof reply));
    CHECK(store_append(shelf, id, (const uint8_t *)text, strlen(text), 60000000, &reply, now) == UNBROKEN_REPLY_APPENDED);
    if (memcmp(reply.owner, nobody, 16) != 0) {
        STATUS(unbroken_mail_note(id, note, 1, &length), UNBROKEN_ERR_BUFFER_TOO_SMALL);
        CHECK(length > 1 && length <= sizeof note);
        OK(unbroken_mail_note(id, note, sizeof note, &length));
        CHECK(store_send(shelf, reply.owner, note, length, now) == UNBROKEN_REPLY_DONE);
    }
}

static unbroken_counters counters_of(const server *s) {
    unbroken_counters counters;
    OK(unbroken_endpoint_counters(s->endpoint, &counters, sizeof counters));
    return counters;
}

/* A session that stands at `s`, with ten messages taken. */
static void settle(client *c, server *s) {
    int32_t up = 0;
    client_begin(c, s);
    go(30, c, s, NULL);
    CHECK(s->established == 1 && state_of(c->session) == UNBROKEN_STATE_ESTABLISHED);
    OK(unbroken_endpoint_store_is_up(s->endpoint, &up));
    CHECK(up == 1);
    say(c, 10);
    go(30, c, s, NULL);
    CHECK(s->taken == 10);
}

/* The first server leaves: its session goes to the store, and from there to the second, with what neither end had taken yet. */
static void planned_end(void) {
    store shelf;
    server a, b;
    client c;
    int32_t owes = 1, leaving = 0, room = 0;
    store_begin(&shelf);
    server_begin(&a, &shelf, UNBROKEN_DURABILITY_SWAP_OUT);
    server_begin(&b, &shelf, UNBROKEN_DURABILITY_SWAP_OUT);
    settle(&c, &a);
    OK(unbroken_endpoint_session_bind_user(a.endpoint, a.id, (const uint8_t *)"nina", 4));
    OK(unbroken_endpoint_session_has_room(a.endpoint, a.id, &room));
    CHECK(room == 1);
    mail(&shelf, a.id, "mail 1");
    go(30, &c, &a, &b);
    CHECK(a.mails == 1 && a.mail_told == 1 && b.mails == 0);

    /* What is sent into a dying link, both ways, goes along. */
    answer(&a, 0, 5);
    say(&c, 5);
    lead_to(&c, NULL);
    STATUS(unbroken_endpoint_save(a.endpoint, a.id, 0, NULL, 0), UNBROKEN_EMPTY);
    OK(unbroken_endpoint_retire(a.endpoint));
    OK(unbroken_endpoint_session_is_leaving(a.endpoint, a.id, &leaving));
    CHECK(leaving == 1);
    STATUS(unbroken_endpoint_session_send(a.endpoint, a.id, NULL, 0, NULL), UNBROKEN_ERR_WOULD_BLOCK);
    go(10, &c, &a, &b);
    OK(unbroken_endpoint_owes_store(a.endpoint, &owes));
    CHECK(a.swapped_out == 1 && a.closed == 0 && counters_of(&a).now_sessions == 0 && counters_of(&a).swapped_out == 1 && owes == 0);
    STATUS(unbroken_endpoint_session_send(a.endpoint, a.id, NULL, 0, NULL), UNBROKEN_ERR_UNKNOWN_SESSION);
    server_end(&a);
    mail(&shelf, a.id, "mail 2");

    OK(unbroken_loopback_new(c.session, b.endpoint, &c.network));
    go(500, &c, &b, NULL);
    CHECK(b.restored == 1 && b.bound == 1 && b.established == 0 && memcmp(b.id, a.id, 16) == 0);
    CHECK(c.handovers == 1 && c.same_server == 0 && c.closed == 0);
    CHECK(b.taken == 15 && c.taken == 5 && b.mails == 1 && b.mail_told == 1);
    answer(&b, 5, 20);
    say(&c, 5);
    go(50, &c, &b, NULL);
    CHECK(b.taken == 20 && c.taken == 20 && counters_of(&b).takeovers == 1 && counters_of(&b).store_failures == 0);
    CHECK(shelf.asked[UNBROKEN_STORE_PUT] >= 3 && shelf.asked[UNBROKEN_STORE_TRIM] >= 1 && shelf.asked[UNBROKEN_STORE_BIND] >= 1);
    client_end(&c);
    server_end(&b);
    store_end(&shelf);
}

/* The client shows up at the second server while the first one has the session: that is asked by a note and lets it go. */
static void shows_up_elsewhere(void) {
    store shelf;
    server a, b;
    client c;
    store_begin(&shelf);
    server_begin(&a, &shelf, UNBROKEN_DURABILITY_SWAP_OUT);
    server_begin(&b, &shelf, UNBROKEN_DURABILITY_SWAP_OUT);
    settle(&c, &a);
    go(20, &c, &a, &b);
    say(&c, 3);
    lead_to(&c, &b);
    go(500, &c, &a, &b);
    CHECK(a.swapped_out == 1 && b.restored == 1 && b.bound == 0 && b.taken == 13 && c.handovers == 1 && c.same_server == 0);
    CHECK(shelf.asked[UNBROKEN_STORE_SEND] >= 2);
    /* And back, by the second server's own wish. */
    OK(unbroken_endpoint_session_swap_out(b.endpoint, b.id));
    lead_to(&c, &a);
    say(&c, 3);
    go(500, &c, &a, &b);
    CHECK(b.swapped_out == 1 && a.restored == 1 && a.taken == 16 && c.handovers == 2);
    client_end(&c);
    server_end(&a);
    server_end(&b);
    store_end(&shelf);
}

/* The first server dies without a word. What it had said and taken is in the store, as nothing leaves it before. */
static void dies(void) {
    store shelf;
    server a, b;
    client c;
    store_begin(&shelf);
    server_begin(&a, &shelf, UNBROKEN_DURABILITY_DURABLE);
    server_begin(&b, &shelf, UNBROKEN_DURABILITY_DURABLE);
    settle(&c, &a);
    answer(&a, 0, 4);
    OK(unbroken_endpoint_session_commit(a.endpoint, a.id));
    go(50, &c, &a, &b);
    CHECK(c.taken == 4);
    say(&c, 2);
    lead_to(&c, NULL);
    server_end(&a);
    /* Its lease runs out. */
    now += 8000000;
    go(5, NULL, &b, NULL);
    OK(unbroken_loopback_new(c.session, b.endpoint, &c.network));
    for (int i = 0; i < 20 && b.restored == 0; i++) {
        go(500, &c, &b, NULL);
    }
    go(100, &c, &b, NULL);
    CHECK(b.restored == 1 && b.taken == 12 && c.closed == 0 && c.taken == 4 && c.handovers == 1 && c.same_server == 0);
    client_end(&c);
    server_end(&b);
    store_end(&shelf);
}

/* The store is out of order while the server wants to leave, then the application's state is too large: the session stays and goes on. */
static void stays(void) {
    static uint8_t large[3 << 20];
    store shelf;
    server a;
    client c;
    int32_t leaving = 1;
    uint8_t id[16];
    store_begin(&shelf);
    server_begin(&a, &shelf, UNBROKEN_DURABILITY_SWAP_OUT);
    settle(&c, &a);
    shelf.broken = 1;
    OK(unbroken_endpoint_retire(a.endpoint));
    go(50, &c, &a, NULL);
    CHECK(a.swap_out_failed == 1 && a.swapped_out == 0 && counters_of(&a).now_sessions == 1 && counters_of(&a).store_failures >= 1);
    shelf.broken = 0;
    OK(unbroken_endpoint_turn_away(a.endpoint));
    OK(unbroken_endpoint_stay(a.endpoint));
    go(50, &c, &a, NULL);

    OK(unbroken_endpoint_session_swap_out(a.endpoint, a.id));
    OK(unbroken_endpoint_poll_snapshot(a.endpoint, id));
    CHECK(memcmp(id, a.id, 16) == 0);
    STATUS(unbroken_endpoint_save(a.endpoint, id, 1, large, sizeof large), UNBROKEN_ERR_SNAPSHOT);
    check_text("limits.snapshot");
    server_events(&a);
    CHECK(a.swap_out_failed == 2);
    OK(unbroken_endpoint_session_is_leaving(a.endpoint, a.id, &leaving));
    CHECK(leaving == 0);
    say(&c, 3);
    go(50, &c, &a, NULL);
    CHECK(a.taken == 13 && c.handovers == 0 && state_of(c.session) == UNBROKEN_STATE_ESTABLISHED);
    client_end(&c);
    server_end(&a);
    store_end(&shelf);
}

/* A user who begins anew, at another server, puts the former session out. */
static void begins_anew(void) {
    store shelf;
    server a, b;
    client before, after;
    store_begin(&shelf);
    server_begin(&a, &shelf, UNBROKEN_DURABILITY_SWAP_OUT);
    server_begin(&b, &shelf, UNBROKEN_DURABILITY_SWAP_OUT);
    settle(&before, &a);
    OK(unbroken_endpoint_session_bind_user(a.endpoint, a.id, (const uint8_t *)"nina", 4));
    go(10, &before, &a, &b);
    settle(&after, &b);
    OK(unbroken_endpoint_session_bind_user(b.endpoint, b.id, (const uint8_t *)"nina", 4));
    go(100, &before, &a, &b);
    CHECK(a.closed == 1 && a.reason == UNBROKEN_CLOSE_KICKED && a.code == UNBROKEN_USER_MOVED);
    CHECK(before.closed == 1 && before.reason == UNBROKEN_CLOSE_KICKED && before.code == UNBROKEN_USER_MOVED);
    CHECK(b.closed == 0 && state_of(after.session) == UNBROKEN_STATE_ESTABLISHED);
    client_end(&before);
    client_end(&after);
    server_end(&a);
    server_end(&b);
    store_end(&shelf);
}

/* Somebody is put out by a server that has not got him: another one has, then he lies in the store, then he is here. */
static void put_out(void) {
    store shelf;
    server a, b;
    client c;
    for (uint32_t where = 0; where < 3; where++) {
        uint32_t code = 40 + where;
        store_begin(&shelf);
        server_begin(&a, &shelf, UNBROKEN_DURABILITY_SWAP_OUT);
        server_begin(&b, &shelf, UNBROKEN_DURABILITY_SWAP_OUT);
        settle(&c, &a);
        go(20, &c, &a, &b);
        if (where == 1) {
            OK(unbroken_endpoint_session_swap_out(a.endpoint, a.id));
            lead_to(&c, NULL);
            go(20, &c, &a, &b);
            CHECK(a.swapped_out == 1);
        }
        STATUS(unbroken_endpoint_kick(where == 2 ? a.endpoint : b.endpoint, a.id, code), where == 2 ? UNBROKEN_OK : UNBROKEN_EMPTY);
        go(50, &c, &a, &b);
        if (where == 1) {
            OK(unbroken_loopback_new(c.session, a.endpoint, &c.network));
            go(500, &c, &a, &b);
        }
        CHECK(a.closed == (where != 1) && a.restored == 0);
        CHECK(where == 1 || (a.reason == UNBROKEN_CLOSE_KICKED && a.code == code));
        CHECK(c.closed == 1 && c.reason == UNBROKEN_CLOSE_KICKED && c.code == code);
        client_end(&c);
        server_end(&a);
        server_end(&b);
        store_end(&shelf);
    }
}

int main(void) {
    now = 1000000;
    planned_end();
    shows_up_elsewhere();
    dies();
    stays();
    begins_anew();
    put_out();
    passed("takeover");
    return 0;
}

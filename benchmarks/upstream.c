/* An upstream that plays scripts: one thread, one epoll, canned bytes. Knows three languages by their path; knows no
 * model, and reads of a request only its length, whether it wants a stream, how many choices, and the script's name:
 *
 *   play-paced-N-US   N chunks, one each US microseconds, each in a segment of its own
 *   play-burst-N      N chunks as fast as they are taken
 *   play-hold         one chunk, and then silence
 *   play-cut-N        N chunks at once, and the connection is closed
 *   play-error        HTTP 500
 *
 * A request that wants no stream is answered with JSON. A chunk's text is the time of its sending: CLOCK_MONOTONIC in
 * microseconds, as eight hexadecimal digits, so that a client on the same machine can tell how long it was under way.
 * The port is the only argument; it prints the port on which it listens (0 takes any). */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 32768, EVENTS = 512, REQUEST = 65536, BLOCK = 65536, ROOM = BLOCK + 8192, PROMPT_TOKENS = 19 };

typedef struct {
  const char *path;   /* what its requests' path holds */
  const char *opener; /* before the first chunk */
  const char *chunk;  /* with the choice's number (if `choices`), the text, the answer's tokens so far, and all */
  const char *finish; /* of one choice, with the same; the text is empty */
  const char *usage;  /* only if it was asked for; NULL: it is part of the finish */
  const char *last;
  const char *whole; /* the answer as JSON */
  int choices;       /* it can give several in one answer */
} Language;

#define OPENAI                                                                                                        \
  "data: {\"id\":\"chatcmpl-CfQ2yYb7oRk1uVhJm0xTzq8LwN4sE\",\"object\":\"chat.completion.chunk\",\"created\":1763800000," \
  "\"model\":\"play-1-2026-11-01\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_44709d6fcb\",\"choices\":["
#define GEMINI_TAIL(SAID, TOTAL)                                                                                      \
  "\"usageMetadata\":{\"promptTokenCount\":19,\"candidatesTokenCount\":" SAID ",\"totalTokenCount\":" TOTAL ","        \
  "\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":19}]},\"modelVersion\":\"play-1\","                \
  "\"responseId\":\"k0YfaeXnOZSB_uMPs7fQ8As\"}"
#define HELLO "Hello! How can I help you today? This is a small answer of the size that small answers have."

static const Language LANGUAGES[] = {
    {"/chat/completions",
     OPENAI "{\"index\":%d,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"logprobs\":null,"
            "\"finish_reason\":null}],\"usage\":null}\n\n",
     OPENAI "{\"index\":%d,\"delta\":{\"content\":\"%s\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n",
     OPENAI "{\"index\":%d,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":null}\n\n",
     OPENAI "],\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":21,\"total_tokens\":40,\"prompt_tokens_details\":"
            "{\"cached_tokens\":0,\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0,"
            "\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}}\n\n",
     "data: [DONE]\n\n",
     "{\"id\":\"chatcmpl-CfQ2yYb7oRk1uVhJm0xTzq8LwN4sE\",\"object\":\"chat.completion\",\"created\":1763800000,"
     "\"model\":\"play-1-2026-11-01\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"" HELLO
     "\",\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{"
     "\"prompt_tokens\":19,\"completion_tokens\":21,\"total_tokens\":40,\"prompt_tokens_details\":{\"cached_tokens\":0,"
     "\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0}},"
     "\"service_tier\":\"default\",\"system_fingerprint\":\"fp_44709d6fcb\"}",
     1},
    {"/messages",
     "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_01XFDUDYJgAACzvnptvVoYEL\","
     "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"play-1\",\"content\":[],\"stop_reason\":null,"
     "\"stop_sequence\":null,\"usage\":{\"input_tokens\":19,\"output_tokens\":1}}}\n\n"
     "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":%d,\"content_block\":"
     "{\"type\":\"text\",\"text\":\"\"}}\n\n",
     "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":%d,\"delta\":"
     "{\"type\":\"text_delta\",\"text\":\"%s\"}}\n\n",
     "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":%d}\n\n"
     "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\","
     "\"stop_sequence\":null},\"usage\":{\"output_tokens\":21}}\n\n",
     NULL,
     "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
     "{\"id\":\"msg_01XFDUDYJgAACzvnptvVoYEL\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"play-1\","
     "\"content\":[{\"type\":\"text\",\"text\":\"" HELLO "\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,"
     "\"usage\":{\"input_tokens\":19,\"output_tokens\":21}}",
     0},
    {"enerateContent",
     NULL,
     "data: {\"candidates\":[{\"index\":%d,\"content\":{\"parts\":[{\"text\":\"%s\"}],\"role\":\"model\"}}],"
     GEMINI_TAIL("%d", "%d") "\r\n\r\n",
     "data: {\"candidates\":[{\"index\":%d,\"content\":{\"parts\":[{\"text\":\"%s\"}],\"role\":\"model\"},"
     "\"finishReason\":\"STOP\"}]," GEMINI_TAIL("%d", "%d") "\r\n\r\n",
     NULL,
     NULL,
     "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"" HELLO "\"}],\"role\":\"model\"},\"index\":0,"
     "\"finishReason\":\"STOP\"}]," GEMINI_TAIL("21", "40"),
     0},
};

typedef enum { PACED, BURST, HOLD, CUT, BROKEN } Mode;

typedef struct {
  int open, waits_for_room, in_length, out_length, out_sent;
  unsigned turn; /* tells a timer that the connection it was set for is gone */
  const Language *language;
  Mode mode;
  long left, pace;
  int choices, next_choice, usage, said;
  uint64_t due;
  char *in, *out;
} Connection;

typedef struct {
  uint64_t due;
  int fd;
  unsigned turn;
} Timer;

static Connection connections[CONNECTIONS];
static Timer timers[CONNECTIONS * 4];
static int timer_count, poller;

static uint64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Timers: a binary heap, the next one first. */

static void add_timer(Timer timer) {
  int at = timer_count++;
  for (; at && timers[(at - 1) / 2].due > timer.due; at = (at - 1) / 2) timers[at] = timers[(at - 1) / 2];
  timers[at] = timer;
}

static Timer take_timer(void) {
  Timer first = timers[0], last = timers[--timer_count];
  int at = 0;
  for (int child; (child = 2 * at + 1) < timer_count; at = child) {
    if (child + 1 < timer_count && timers[child + 1].due < timers[child].due) child++;
    if (timers[child].due >= last.due) break;
    timers[at] = timers[child];
  }
  timers[at] = last;
  return first;
}

/* Answers. */

static void watch(int fd, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  epoll_ctl(poller, operation, fd, &event);
}

static void close_connection(int fd) {
  Connection *c = &connections[fd];
  free(c->in);
  free(c->out);
  c->in = c->out = NULL;
  c->open = 0;
  c->turn++;
  close(fd);
}

static void put(Connection *c, const char *bytes, int length) {
  memcpy(c->out + c->out_length, bytes, (size_t)length);
  c->out_length += length;
}

/* One chunk of the chunked encoding. The format's arguments are those of a Language's chunk, as many as it takes. */
static void put_event(Connection *c, const char *format, int choice, const char *text) {
  char body[2048], size[16];
  if (!format) return;
  int length = snprintf(body, sizeof body, format, choice, text, c->said, PROMPT_TOKENS + c->said);
  put(c, size, sprintf(size, "%x\r\n", (unsigned)length));
  put(c, body, length);
  put(c, "\r\n", 2);
}

static void put_chunk(Connection *c) {
  char text[9];
  snprintf(text, sizeof text, "%08x", (unsigned)(uint32_t)now_us());
  c->said++;
  put_event(c, c->language->chunk, c->next_choice, text);
  c->next_choice = (c->next_choice + 1) % c->choices;
  c->left--;
}

static void put_ending(Connection *c) {
  for (int choice = 0; choice < c->choices; choice++) put_event(c, c->language->finish, choice, "");
  if (c->usage) put_event(c, c->language->usage, 0, "");
  put_event(c, c->language->last, 0, "");
  put(c, "0\r\n\r\n", 5);
}

/* Sends what is there; 0 when the connection is gone or takes no more for now. */
static int flush(int fd) {
  Connection *c = &connections[fd];
  while (c->out_sent < c->out_length) {
    ssize_t sent = send(fd, c->out + c->out_sent, (size_t)(c->out_length - c->out_sent), MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) {
      if (!c->waits_for_room) watch(fd, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
      c->waits_for_room = 1;
      return 0;
    }
    if (sent < 0) return close_connection(fd), 0;
    c->out_sent += (int)sent;
  }
  c->out_sent = c->out_length = 0;
  if (c->waits_for_room) watch(fd, EPOLL_CTL_MOD, EPOLLIN);
  c->waits_for_room = 0;
  return 1;
}

/* Sends the rest of a burst, a block at a time, until it is over or the reader takes no more. */
static void burst(int fd) {
  Connection *c = &connections[fd];
  while (c->open && c->left > 0) {
    while (c->left > 0 && c->out_length < BLOCK) put_chunk(c);
    if (!c->left && c->mode == BURST) put_ending(c);
    if (!flush(fd)) return;
  }
  if (c->open && c->mode == CUT) close_connection(fd);
}

static void tick(Timer timer) {
  Connection *c = &connections[timer.fd];
  if (!c->open || c->turn != timer.turn || c->out_length > BLOCK) return; /* it left, or never reads */
  put_chunk(c);
  if (!c->left) put_ending(c);
  c->due += (uint64_t)c->pace;
  flush(timer.fd);
  if (c->open && c->left) add_timer((Timer){c->due, timer.fd, timer.turn});
}

static void answer_whole(int fd, const char *status, const char *body) {
  Connection *c = &connections[fd];
  char head[256];
  int length = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                        status, strlen(body));
  put(c, head, length);
  put(c, body, (int)strlen(body));
  flush(fd);
}

static void answer_stream(int fd) {
  static const char HEAD[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
                             "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
  Connection *c = &connections[fd];
  put(c, HEAD, sizeof HEAD - 1);
  c->next_choice = c->said = 0;
  for (int choice = 0; choice < c->choices; choice++) put_event(c, c->language->opener, choice, "");
  if (c->mode == BURST || c->mode == CUT) return burst(fd);
  put_chunk(c);
  if (c->mode == PACED && !c->left) put_ending(c);
  flush(fd);
  if (!c->open || c->mode == HOLD || !c->left) return;
  uint64_t jitter = (uint64_t)((double)rand() / RAND_MAX * (double)c->pace); /* streams do not tick together */
  c->due = now_us() + (uint64_t)c->pace / 2 + jitter;
  add_timer((Timer){c->due, fd, c->turn});
}

/* Requests. */

static void read_script(Connection *c, const char *words) {
  char name[16] = "";
  long count = 1, pace = 0;
  sscanf(words, "play-%15[a-z]-%ld-%ld", name, &count, &pace);
  c->mode = !strcmp(name, "paced")  ? PACED
            : !strcmp(name, "burst") ? BURST
            : !strcmp(name, "hold")  ? HOLD
            : !strcmp(name, "cut")   ? CUT
                                     : BROKEN;
  c->left = count < 1 ? 1 : count;
  c->pace = pace < 1 ? 1 : pace;
}

/* The value of a member of a JSON object, or "": what follows the colon. */
static const char *member(const char *body, const char *name) {
  const char *at = strstr(body, name);
  if (!at) return "";
  at += strlen(name);
  return at + strspn(at, ": ");
}

static void answer(int fd, const char *head, const char *body) {
  Connection *c = &connections[fd];
  const char *script = strstr(head, "play-");
  if (!script) script = strstr(body, "play-");
  c->language = NULL;
  for (unsigned i = 0; i < sizeof LANGUAGES / sizeof *LANGUAGES; i++) {
    const char *found = strstr(head, LANGUAGES[i].path);
    if (found && found < strchr(head, '\r')) c->language = &LANGUAGES[i];
  }
  if (strncmp(head, "POST", 4) || !script || !c->language) return answer_whole(fd, "404 Not Found", "{\"data\":[]}");
  read_script(c, script);
  int choices = atoi(member(body, "\"n\""));
  c->choices = c->language->choices && choices > 1 ? choices : 1;
  c->usage = member(body, "\"include_usage\"")[0] == 't';
  if (c->mode == BROKEN) return answer_whole(fd, "500 Internal Server Error", "{\"error\":{\"message\":\"as asked\"}}");
  if (member(body, "\"stream\"")[0] == 't' || strstr(head, "streamGenerateContent")) return answer_stream(fd);
  answer_whole(fd, "200 OK", c->language->whole);
}

/* The length of the request that begins the buffer, with its body; 0 while it is not whole. */
static int whole_request(Connection *c, char **body) {
  char *end = memmem(c->in, (size_t)c->in_length, "\r\n\r\n", 4);
  if (!end) return 0;
  *body = end + 4;
  *end = 0;
  const char *given = strcasestr(c->in, "\r\ncontent-length:");
  int chunked = strcasestr(c->in, "\r\ntransfer-encoding: chunked") != NULL;
  *end = '\r';
  int head = (int)(*body - c->in), length = head + (given ? atoi(given + 17) : 0);
  if (chunked) {
    char *last = memmem(*body, (size_t)(c->in_length - head), "0\r\n\r\n", 5);
    length = last ? (int)(last + 5 - c->in) : REQUEST;
  }
  return length <= c->in_length ? length : 0;
}

static void readable(int fd) {
  Connection *c = &connections[fd];
  ssize_t got = recv(fd, c->in + c->in_length, (size_t)(REQUEST - c->in_length), 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) return close_connection(fd);
  c->in_length += (int)got;
  char *body;
  for (int length; c->open && (length = whole_request(c, &body));) {
    unsigned turn = c->turn;
    char kept = c->in[length];
    c->in[length] = 0;
    answer(fd, c->in, body);
    if (!c->open || c->turn != turn) return;
    c->in[length] = kept;
    c->in_length -= length;
    memmove(c->in, c->in + length, (size_t)c->in_length);
  }
}

static void accept_all(int listener) {
  static const int yes = 1;
  for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
    if (fd >= CONNECTIONS) {
      close(fd);
      continue;
    }
    Connection *c = &connections[fd];
    unsigned turn = c->turn;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    *c = (Connection){.open = 1, .turn = turn, .in = malloc(REQUEST + 1), .out = malloc(ROOM * 2)};
    watch(fd, EPOLL_CTL_ADD, EPOLLIN);
  }
}

static int listening(int port) {
  static const int yes = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  address.sin_port = htons((uint16_t)port);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
    perror("upstream: can't listen");
    exit(1);
  }
  getsockname(listener, (struct sockaddr *)&address, &length);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return listener;
}

int main(int count, char **words) {
  struct rlimit files = {CONNECTIONS, CONNECTIONS};
  struct epoll_event events[EVENTS];
  signal(SIGPIPE, SIG_IGN);
  setrlimit(RLIMIT_NOFILE, &files);
  int listener = listening(count > 1 ? atoi(words[1]) : 0);
  poller = epoll_create1(0);
  watch(listener, EPOLL_CTL_ADD, EPOLLIN);
  for (;;) {
    uint64_t now = now_us(), wait = timer_count && timers[0].due > now ? timers[0].due - now : 0;
    struct timespec pause = {(time_t)(wait / 1000000), (long)(wait % 1000000) * 1000};
    int ready = epoll_pwait2(poller, events, EVENTS, timer_count ? &pause : NULL, NULL);
    for (int i = 0; i < ready; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        accept_all(listener);
        continue;
      }
      Connection *c = &connections[fd];
      if (c->open && events[i].events & EPOLLOUT && flush(fd) && (c->mode == BURST || c->mode == CUT)) burst(fd);
      if (c->open && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(fd);
    }
    for (now = now_us(); timer_count && timers[0].due <= now;) tick(take_timer());
  }
}

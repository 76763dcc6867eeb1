/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One method after the other, those first that ask nobody. What the host says to each decides the next. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/text.h"
#include "client/agent.h"
#include "client/login_impl.h"

#define ROUNDS_MAX 4   /* methods that a host may want one after another */
#define PROMPTS_MAX 3  /* a password may be wrong that often */
#define QUESTION_SIZE 4096
#define PATIENCE_MS 150000 /* sshd itself gives up after two minutes: a person may have to find a telephone first */
#define ANSWER_MS 15000    /* to what no person has to do with */
#define LOOK_MS 1000

struct auth {
    struct login *login;
    ssh_session session;
    unsigned tried;     /* methods that were used, as bits */
    unsigned n_keys;    /* shown to the host */
    bool nobody;        /* a question found nobody to ask */
    struct agent *agent;
    int patience_ms;    /* how long the host may say nothing */
    int silent_ms;      /* how long it has */
};

/* To be called again as long as this is true: it has waited for the host. By libssh, that would end after as long as the way
 * there may take, and would go on till then also when the host has closed the connection. What an agent and its person take
 * does not count. */
static bool wait_again(struct auth *auth, int *rc)
{
    struct pollfd wait = { .fd = ssh_get_fd(auth->session), .events = POLLIN };

    if (*rc != SSH_AUTH_AGAIN) {
        auth->silent_ms = 0;
        return false;
    }
    if (ssh_get_status(auth->session) & (SSH_CLOSED | SSH_CLOSED_ERROR)) {
        *rc = SSH_AUTH_ERROR;
        return false;
    }
    if (auth->silent_ms >= auth->patience_ms)
        return false;
    if (ssh_get_poll_flags(auth->session) & SSH_WRITE_PENDING)
        wait.events |= POLLOUT;
    if (poll(&wait, 1, LOOK_MS) == 0)
        auth->silent_ms += LOOK_MS;
    else if (wait.revents & POLLIN)
        auth->silent_ms = 0;
    return true;
}

static bool over(int rc)
{
    return rc == SSH_AUTH_SUCCESS || rc == SSH_AUTH_PARTIAL || rc == SSH_AUTH_ERROR || rc == SSH_AUTH_AGAIN;
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

/* Signs with the key in path when the host would take shown, which is freed. */
static int sign_if_wanted(struct auth *auth, const char *path, ssh_key shown, bool is_certificate)
{
    int rc;

    do
        rc = ssh_userauth_try_publickey(auth->session, NULL, shown);
    while (wait_again(auth, &rc));
    auth->n_keys++;
    if (rc == SSH_AUTH_SUCCESS) {
        ssh_key key = login_private_key(auth->login, path);
        rc = SSH_AUTH_DENIED;
        if (key && (!is_certificate || ssh_pki_copy_cert_to_privkey(shown, key) == SSH_OK))
            do
                rc = ssh_userauth_publickey(auth->session, NULL, key);
            while (wait_again(auth, &rc));
        ssh_key_free(key);
    }
    ssh_key_free(shown);
    return rc;
}

static int try_certificate(struct auth *auth, const char *path, const char *certificate)
{
    ssh_key shown = NULL;

    if (access(path, R_OK) < 0 || ssh_pki_import_cert_file(certificate, &shown) != SSH_OK)
        return SSH_AUTH_DENIED;
    return sign_if_wanted(auth, path, shown, true);
}

/* A key's public half lies beside it, or before what is encrypted of it, so that nobody types a passphrase for a key that the
 * host does not want. */
static ssh_key public_half(struct auth *auth, const char *path)
{
    char file[4200];
    ssh_key shown = NULL, key;

    snprintf(file, sizeof file, "%s.pub", path);
    if (ssh_pki_import_pubkey_file(file, &shown) == SSH_OK || ssh_pki_import_pubkey_file(path, &shown) == SSH_OK)
        return shown;
    if (!(key = login_private_key(auth->login, path)))
        return NULL;
    if (ssh_pki_export_privkey_to_pubkey(key, &shown) != SSH_OK)
        shown = NULL;
    ssh_key_free(key);
    return shown;
}

static int try_certificates_of(struct auth *auth, const char *path)
{
    const struct ssh_config *config = &auth->login->config;
    char file[4200];
    int rc = SSH_AUTH_DENIED;

    for (size_t i = 0; i < config->n_certificates && !over(rc); i++)
        rc = try_certificate(auth, path, config->certificate[i]);
    if (over(rc))
        return rc;
    snprintf(file, sizeof file, "%s-cert.pub", path);
    return try_certificate(auth, path, file);
}

static int try_key(struct auth *auth, const char *path)
{
    ssh_key shown = access(path, R_OK) == 0 ? public_half(auth, path) : NULL;

    return shown ? sign_if_wanted(auth, path, shown, false) : SSH_AUTH_DENIED;
}

static int with_each_file(struct auth *auth, int (*attempt)(struct auth *auth, const char *path))
{
    static const char *const usual[] = { "id_ed25519", "id_ecdsa", "id_rsa" };
    const struct login *login = auth->login;
    char path[4200];
    int rc = login->identity ? attempt(auth, login->identity) : SSH_AUTH_DENIED;

    for (size_t i = 0; i < login->config.n_identities && !over(rc); i++)
        rc = attempt(auth, login->config.identity[i]);
    for (size_t i = 0; i < 3 && !over(rc) && login->config.n_identities == 0; i++) {
        snprintf(path, sizeof path, "%s/.ssh/%s", login->home, usual[i]);
        rc = attempt(auth, path);
    }
    return rc;
}

/* What of a file's the agent may have: none of this asks anybody. */
static int show_to_agent(struct auth *auth, const char *path)
{
    static const char *const endings[] = { ".pub", "", "-cert.pub" };
    char file[4200];

    for (size_t i = 0; i < 3; i++) {
        ssh_key key = NULL;
        snprintf(file, sizeof file, "%s%s", path, endings[i]);
        if ((i == 2 ? ssh_pki_import_cert_file(file, &key) : ssh_pki_import_pubkey_file(file, &key)) == SSH_OK)
            agent_show(auth->agent, key);
        ssh_key_free(key);
    }
    return SSH_AUTH_DENIED;
}

static int ask_agent(struct auth *auth)
{
    int rc;

    do
        rc = ssh_userauth_agent(auth->session, NULL);
    while (wait_again(auth, &rc));
    return rc;
}

/* The agent's keys as far as they are among those of the configuration. */
static int try_part_of_agent(struct auth *auth)
{
    const struct ssh_config *config = &auth->login->config;
    const char *path = config->agent ? config->agent : getenv("SSH_AUTH_SOCK");
    struct agent agent = { .n_keys = 0 };
    int rc = SSH_AUTH_DENIED;

    if (!path || strcmp(path, "none") == 0)
        return rc;
    auth->agent = &agent;
    with_each_file(auth, show_to_agent);
    for (size_t i = 0; i < config->n_certificates; i++) {
        ssh_key key = NULL;
        if (ssh_pki_import_cert_file(config->certificate[i], &key) == SSH_OK)
            agent_show(&agent, key);
        ssh_key_free(key);
    }
    if (agent_start(&agent, auth->session, path) == 0) {
        rc = ask_agent(auth);
        agent_stop(&agent);
    }
    agent_clear(&agent);
    return rc;
}

static int try_agent(struct auth *auth)
{
    return auth->login->config.identities_only ? try_part_of_agent(auth) : ask_agent(auth);
}

static int try_keys(struct auth *auth)
{
    int rc = with_each_file(auth, try_certificates_of);

    if (!over(rc))
        rc = try_agent(auth);
    if (!over(rc) || (rc == SSH_AUTH_ERROR && ssh_is_connected(auth->session))) /* an agent that does not answer is no end */
        rc = with_each_file(auth, try_key);
    /* Keys that stand in a Match of ~/.ssh/config, which libssh has judged. */
    if (!over(rc) && auth->login->config.unsure)
        do
            rc = ssh_userauth_publickey_auto(auth->session, NULL, NULL);
        while (wait_again(auth, &rc));
    return rc;
}

/* --- what a person types ------------------------------------------------------------------------------------------ */

/* One question of the host's; what was right before is not asked again. */
static int answer(struct auth *auth, const char *question, bool secret, char *remembered, char ret[static ASK_SIZE])
{
    char prompt[QUESTION_SIZE];
    int r;

    ask_lock();
    if (secret && remembered && remembered[0]) {
        snprintf(ret, ASK_SIZE, "%s", remembered);
        r = 0;
    } else {
        snprintf(prompt, sizeof prompt, "%s: %s", auth->login->name, question);
        r = login_ask(auth->login, prompt, secret, ret);
    }
    ask_unlock();
    auth->nobody |= r == -ENOTTY;
    return r;
}

static void remember(char *remembered, const char *text)
{
    ask_lock();
    snprintf(remembered, ASK_SIZE, "%s", text);
    ask_unlock();
}

/* What the host tells besides: how to confirm the login, or that the password is about to expire. */
static void show_instruction(const struct auth *auth)
{
    const char *texts[] = { ssh_userauth_kbdint_getname(auth->session), ssh_userauth_kbdint_getinstruction(auth->session) };

    for (size_t i = 0; i < 2; i++)
        if (texts[i] && !auth->login->config.batch)
            say_others(texts[i], strlen(texts[i]));
}

/* Answers one round of questions. False when nobody did. */
static bool answer_round(struct auth *auth, bool first_try, char last[static ASK_SIZE])
{
    int n = ssh_userauth_kbdint_getnprompts(auth->session);

    show_instruction(auth);
    for (int i = 0; i < n; i++) {
        char echo = 0;
        const char *question = ssh_userauth_kbdint_getprompt(auth->session, (unsigned)i, &echo);
        if (!question || answer(auth, question, !echo, n == 1 && first_try ? auth->login->answer : NULL, last) < 0)
            return false;
        if (ssh_userauth_kbdint_setanswer(auth->session, (unsigned)i, last) < 0)
            return false;
        if (n != 1 || echo)
            last[0] = '\0'; /* only a lone hidden answer is one that can be right twice */
    }
    return true;
}

static int try_interactive(struct auth *auth)
{
    char last[ASK_SIZE] = "";
    int rc = SSH_AUTH_DENIED;

    for (int tries = 0; tries < PROMPTS_MAX && rc == SSH_AUTH_DENIED && !auth->nobody; tries++) {
        do
            do
                rc = ssh_userauth_kbdint(auth->session, NULL, NULL);
            while (wait_again(auth, &rc));
        while (rc == SSH_AUTH_INFO && answer_round(auth, tries == 0, last));
        if (rc == SSH_AUTH_INFO) {
            rc = SSH_AUTH_DENIED;
            break;
        }
        if (tries > 0 || rc != SSH_AUTH_DENIED)
            continue;
        remember(auth->login->answer, ""); /* what was right once may be wrong now */
    }
    if (rc == SSH_AUTH_SUCCESS || rc == SSH_AUTH_PARTIAL)
        remember(auth->login->answer, last);
    explicit_bzero(last, sizeof last);
    return rc;
}

static int try_password(struct auth *auth)
{
    char password[ASK_SIZE] = "";
    int rc = SSH_AUTH_DENIED;

    for (int tries = 0; tries < PROMPTS_MAX && rc == SSH_AUTH_DENIED; tries++) {
        if (answer(auth, "password: ", true, tries == 0 ? auth->login->password : NULL, password) < 0)
            break;
        do
            rc = ssh_userauth_password(auth->session, NULL, password);
        while (wait_again(auth, &rc));
    }
    if (rc == SSH_AUTH_SUCCESS || rc == SSH_AUTH_PARTIAL)
        remember(auth->login->password, password);
    explicit_bzero(password, sizeof password);
    return rc;
}

/* --- the order ---------------------------------------------------------------------------------------------------- */

static const struct method {
    unsigned bit, own; /* libssh's number of it, and ours */
    const char *name;
    int patience_ms;   /* 0: as for any answer */
    int (*attempt)(struct auth *auth);
} methods[] = {
    { SSH_AUTH_METHOD_PUBLICKEY, METHOD_PUBLICKEY, "publickey", 0, try_keys },
    { SSH_AUTH_METHOD_INTERACTIVE, METHOD_INTERACTIVE, "keyboard-interactive", PATIENCE_MS, try_interactive },
    { SSH_AUTH_METHOD_PASSWORD, METHOD_PASSWORD, "password", PATIENCE_MS, try_password },
};

#define N_METHODS (sizeof methods / sizeof methods[0])

static void set_patience(struct auth *auth, int wanted_ms)
{
    int timeout_ms = login_timeout_ms(auth->login);

    wanted_ms = wanted_ms ? wanted_ms : ANSWER_MS;
    auth->patience_ms = wanted_ms > timeout_ms ? wanted_ms : timeout_ms;
}

static int try_method(struct auth *auth, const struct method *method)
{
    if (auth->tried & method->bit || auth->login->config.off & method->own ||
        !((unsigned)ssh_userauth_list(auth->session, NULL) & method->bit))
        return SSH_AUTH_DENIED;
    auth->tried |= method->bit;
    set_patience(auth, method->patience_ms);
    return method->attempt(auth);
}

/* Those that the configuration prefers, in its order, and no others. */
static int preferred_round(struct auth *auth)
{
    int rc = SSH_AUTH_DENIED;

    for (const char *at = auth->login->config.preferred; *at && !over(rc); at += strspn(at, ",")) {
        size_t len = strcspn(at, ",");
        for (size_t i = 0; i < N_METHODS && !over(rc); i++)
            if (strlen(methods[i].name) == len && strncasecmp(at, methods[i].name, len) == 0)
                rc = try_method(auth, &methods[i]);
        at += len;
    }
    return rc;
}

/* The methods that the host takes now, none of them twice. */
static int one_round(struct auth *auth)
{
    int rc = SSH_AUTH_DENIED;

    if (auth->login->config.preferred[0])
        return preferred_round(auth);
    for (size_t i = 0; i < N_METHODS && !over(rc); i++)
        rc = try_method(auth, &methods[i]);
    return rc;
}

static void name_methods(unsigned bits, char out[static 80])
{
    size_t len = 0;

    snprintf(out, 80, "nothing that this program knows");
    for (size_t i = 0; i < N_METHODS; i++)
        if (bits & methods[i].bit)
            len += (size_t)snprintf(out + len, 80 - len, "%s%s", len ? ", " : "", methods[i].name);
}

static int explain(const struct auth *auth, int rc, unsigned offered, char why[static WHY_SIZE])
{
    char takes[80], shown[160];
    const char *error = ssh_get_error(auth->session);

    if (rc == SSH_AUTH_AGAIN)
        return why_say(why, EX_UNAVAILABLE, "the host does not answer during the login; try again");
    if (!ssh_is_connected(auth->session)) {
        text_escape(shown, sizeof shown, error, strlen(error));
        return why_say(why, EX_NOPERM, "the host closed the connection during the login (%s); perhaps there is no grant for this "
                       "account at this time or from this address: ask its administrator", shown);
    }
    if (offered && !(offered & (SSH_AUTH_METHOD_PUBLICKEY | SSH_AUTH_METHOD_INTERACTIVE | SSH_AUTH_METHOD_PASSWORD)))
        return why_say(why, EX_NOPERM, "the host takes neither keys nor passwords (Kerberos perhaps), and this program knows "
                       "nothing else; try --ssh ssh");
    if (!auth->tried)
        return why_say(why, EX_NOPERM, "your ssh configuration turns off all that the host takes");
    name_methods(offered, takes);
    return why_say(why, EX_NOPERM, "permission denied: the host takes %s, and %u key%s did not do%s; is the account right "
                   "(user@%s), and your key known to its administrator?", takes, auth->n_keys, auth->n_keys == 1 ? "" : "s",
                   auth->nobody ? ", and there is no terminal to ask for a password" : "", auth->login->spec.host);
}

int auth_run(struct login *login, ssh_session session, char why[static WHY_SIZE])
{
    struct auth auth = { .login = login, .session = session };
    int rc;

    ssh_set_blocking(session, 0);
    set_patience(&auth, 0);
    do
        rc = ssh_userauth_none(session, NULL);
    while (wait_again(&auth, &rc));
    unsigned offered = (unsigned)ssh_userauth_list(session, NULL);
    if (!over(rc))
        rc = SSH_AUTH_PARTIAL;
    for (int round = 0; round < ROUNDS_MAX && rc == SSH_AUTH_PARTIAL; round++)
        rc = one_round(&auth);
    ssh_set_blocking(session, 1);
    return rc == SSH_AUTH_SUCCESS ? 0 : explain(&auth, rc, offered, why);
}

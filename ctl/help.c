/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/help.h"

#define NAME_SIZE 64U
#define LINE_SIZE 192U
/* of a terminal, less the comma and the newline that a line may begin and end with */
#define SCREEN_COLUMNS 76
/* verbs of one name that still get a line each */
#define SCREEN_NAMESAKES 5

static const char *const groups[_CTL_GROUP_MAX] = {
        [CTL_STOP] = "Stop",          [CTL_RESUME] = "Resume",     [CTL_LOOK] = "Look",
        [CTL_CARRY] = "Signed files", [CTL_EVIDENCE] = "Evidence", [CTL_TRUST] = "Who may do what",
        [CTL_FLEET] = "The fleet",
};

static const char *const exits[] = {
        [CTL_OK] = "verified",       [CTL_MACHINE] = "failed or not to be believed",
        [CTL_USAGE] = "wrong usage", [CTL_REFUSED] = "refused",
        [CTL_PARTIAL] = "partial",   [CTL_SILENT] = "nobody answered",
};

const char *help_name(const struct ctl_verb *v, char *ret, size_t n) {
        (void) snprintf(ret, n, "%s%s%s", v->name, v->sub ? " " : "", v->sub ? v->sub : "");
        return ret;
}

/* "contain TARGET..." */
static const char *synopsis(const struct ctl_verb *v, char *ret, size_t n) {
        char name[NAME_SIZE];

        (void) snprintf(ret, n, "%s%s%s", help_name(v, name, sizeof(name)), *v->args ? " " : "", v->args);
        return ret;
}

/* One of each class that an order can name; holds have a line of their own. */
static void print_targets(FILE *f) {
        int column = fprintf(f, "\nTARGET  nginx.service");

        for (enum target_class c = 0; c < TARGET_HOLD; c++) {
                const char *example = target_class_example(c);

                if (column + (int) strlen(example) > SCREEN_COLUMNS)
                        column = fprintf(f, ",\n        %s", example);
                else
                        column += fprintf(f, ", %s", example);
        }
        fputc('\n', f);
}

/* How many verbs are called that; they stand together in the table. */
static size_t count_namesakes(const struct ctl_verb *v) {
        size_t n = 1;

        while (v[n].name && strcmp(v[n].name, v->name) == 0)
                n++;
        return n;
}

/* One line each; what has many second words, all of them on one, or the screen would not hold the rest. */
static const struct ctl_verb *print_verb(FILE *f, const struct ctl_verb *v) {
        const size_t n = count_namesakes(v);
        char line[LINE_SIZE];

        if (n <= SCREEN_NAMESAKES) {
                fprintf(f, "  %-35s %s\n", synopsis(v, line, sizeof(line)), v->summary);
                return v + 1;
        }
        fprintf(f, "  %s", v->name);
        for (size_t i = 0; i < n; i++)
                fprintf(f, "%s%s", i > 0 ? "|" : " ", v[i].sub);
        fprintf(f, "\n  %-35s `freezectl help %s` tells about each\n", "", v->name);
        return v + n;
}

void help_screen(FILE *f) {
        fputs("freezectl - stop a service, prove it, and let it go again when two people say so\n\n"
              "usage: freezectl VERB WORDS [OPTIONS]\n",
              f);
        for (enum ctl_group g = 0; g < _CTL_GROUP_MAX; g++) {
                fprintf(f, "\n%s\n", groups[g]);
                for (const struct ctl_verb *v = ctl_verbs; v->name;)
                        v = v->group == g ? print_verb(f, v) : v + 1;
        }
        print_targets(f);
        fputs("HOLD    the 32 hex digits of a receipt\n"
              "Exit   ",
              f);
        for (size_t i = 0; i < ELEMENTSOF(exits); i++)
                fprintf(f, " %zu %s%s", i, exits[i], i + 1 < ELEMENTSOF(exits) ? "," : "\n");
        fputs("`freezectl help VERB` tells its options, with an example.\n", f);
}

/* "--lease D" */
static const char *option_synopsis(const struct option_info *o, char *ret, size_t n) {
        (void) snprintf(ret, n, "--%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
        return ret;
}

void help_verb(FILE *f, const struct ctl_verb *v) {
        char line[LINE_SIZE];

        fprintf(f, "usage: freezectl %s%s\n\n%s.%s%s\n", synopsis(v, line, sizeof(line)),
                v->options ? " [OPTIONS]" : "", v->summary, *v->text ? "\n" : "", v->text);
        if (v->options)
                fputs("\nOptions\n", f);
        for (enum option o = 0; o < _OPTION_MAX; o++)
                if (v->options & UINT64_C(1) << o)
                        fprintf(f, "  %-43s %s\n", option_synopsis(option_info(o), line, sizeof(line)),
                                option_info(o)->text);
        fprintf(f, "\nExample\n  %s\n", v->example);
}

/* Text for roff: hyphens that can be copied, and no line that begins a request. */
static void roff(FILE *f, const char *s) {
        if (*s == '.' || *s == '\'')
                fputs("\\&", f);
        for (; *s; s++) {
                if (*s == '-' || *s == '\\')
                        fputc('\\', f);
                if (*s == '\\')
                        fputc('e', f);
                else
                        fputc(*s, f);
                if (*s == '\n' && (s[1] == '.' || s[1] == '\''))
                        fputs("\\&", f);
        }
}

static void man_verbs(FILE *f) {
        for (const struct ctl_verb *v = ctl_verbs; v->name; v++) {
                char line[LINE_SIZE];
                fputs(".TP\n.B ", f);
                roff(f, synopsis(v, line, sizeof(line)));
                fputc('\n', f);
                roff(f, v->summary);
                fputs(".\n", f);
                roff(f, v->text);
                fputs(*v->text ? "\n" : "", f);
                for (enum option o = 0, first = 1; o < _OPTION_MAX; o++)
                        if (v->options & UINT64_C(1) << o) {
                                fputs(first ? "Takes" : ",", f);
                                first = 0;
                                fputs("\n\\fB", f);
                                roff(f, "--");
                                roff(f, option_info(o)->name);
                                fputs("\\fR", f);
                        }
                fputs(v->options ? ".\n" : "", f);
                fputs(".IP\n.EX\n", f);
                roff(f, v->example);
                fputs("\n.EE\n", f);
        }
}

void help_man(FILE *f) {
        char line[LINE_SIZE];

        fputs(".\\\" SPDX-License-Identifier: Apache-2.0\n"
              ".\\\" made by: freezectl help man\n"
              ".TH FREEZECTL 8\n.SH NAME\nfreezectl \\- contain services with signed orders, prove it, release "
              "them\n.SH SYNOPSIS\n",
              f);
        for (const struct ctl_verb *v = ctl_verbs; v->name; v++) {
                fputs(".br\n.B freezectl ", f);
                roff(f, synopsis(v, line, sizeof(line)));
                fputs(v->options ? "\n[OPTIONS]\n" : "\n", f);
        }
        fputs(".SH DESCRIPTION\n"
              "An order is a signed file. One person can stop a service with it; letting it go again takes two.\n"
              "freezectl builds orders, signs them with OpenSSH Ed25519 keys (of ssh\\-agent, or of an unencrypted key "
              "file),\n"
              "sends them to the agent of this host, and shows the receipt that the host signed. A receipt that no "
              "known host\n"
              "signed, or that is about other bytes than were sent, is never shown as success.\n.SH VERBS\n",
              f);
        man_verbs(f);
        fputs(".SH OPTIONS\n", f);
        for (enum option o = 0; o < _OPTION_MAX; o++) {
                fputs(".TP\n.B ", f);
                roff(f, option_synopsis(option_info(o), line, sizeof(line)));
                fputc('\n', f);
                roff(f, option_info(o)->text);
                fputs(".\n", f);
        }
        fputs(".SH EXIT STATUS\n", f);
        for (size_t i = 0; i < ELEMENTSOF(exits); i++)
                fprintf(f, ".TP\n.B %zu\n%s\n", i, exits[i]);
        fputs(".SH FILES\n"
              ".TP\n.I /etc/freezed/trust.json\nThe trust root: who may order what.\n"
              ".TP\n.I ~/.config/freezed/hosts\n.TQ\n.I /etc/freezed/hosts\n"
              "The known hosts, a line each: NAME ssh\\-ed25519 AAAA... Answers of other hosts are not believed.\n"
              ".TP\n.I /run/freezed/command.sock\nThe agent.\n"
              ".SH SEE ALSO\n.BR ssh\\-keygen (1),\n.BR ssh\\-agent (1)\n",
              f);
}

/* The words after a verb: its options, and file names by default. */
static void completion_options(FILE *f, const struct ctl_verb *v) {
        char name[NAME_SIZE];

        fprintf(f, "                \"%s\") words=\"", help_name(v, name, sizeof(name)));
        for (enum option o = 0, first = 1; o < _OPTION_MAX; o++)
                if (v->options & UINT64_C(1) << o) {
                        fprintf(f, "%s--%s", first ? "" : " ", option_info(o)->name);
                        first = 0;
                }
        fputs("\" ;;\n", f);
}

/* The second words of the verbs that have some; those of one verb stand together in the table. */
static void completion_subs(FILE *f) {
        for (const struct ctl_verb *v = ctl_verbs; v->name; v++) {
                if (!v->sub)
                        continue;
                fprintf(f, "        \"%s\") subs=\"%s", v->name, v->sub);
                for (; v[1].name && strcmp(v[1].name, v->name) == 0; v++)
                        fprintf(f, " %s", v[1].sub);
                fputs("\" ;;\n", f);
        }
}

void help_completion(FILE *f) {
        fputs("# SPDX-License-Identifier: Apache-2.0\n"
              "# made by: freezectl help completion\n"
              "# shellcheck shell=bash\n"
              "_freezectl() {\n"
              "        local cur=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} words= subs=\n"
              "        COMPREPLY=()\n"
              "        case $verb in\n",
              f);
        completion_subs(f);
        fputs("        esac\n"
              "        if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
              "                words=\"",
              f);
        for (const struct ctl_verb *v = ctl_verbs; v->name; v++)
                if (v == ctl_verbs || strcmp(v->name, v[-1].name) != 0)
                        fprintf(f, "%s%s", v == ctl_verbs ? "" : " ", v->name);
        fputs("\"\n        elif [ -n \"$subs\" ] && [ \"$COMP_CWORD\" -eq 2 ]; then\n                words=$subs\n"
              "        elif [[ $cur == -* ]]; then\n"
              "                [ -n \"$subs\" ] && verb=\"$verb ${COMP_WORDS[2]}\"\n"
              "                case $verb in\n",
              f);
        for (const struct ctl_verb *v = ctl_verbs; v->name; v++)
                completion_options(f, v);
        fputs("                esac\n        fi\n"
              "        # shellcheck disable=SC2207\n"
              "        COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
              "}\n"
              "complete -o default -F _freezectl freezectl\n",
              f);
}

/* SPDX-License-Identifier: Apache-2.0 */

#include "ctl/export_readme.h"
#include "ctl/member.h"
#include "ctl/text.h"

static const char head[] =
        "Evidence of one hold, preserved by freezed\n"
        "\n"
        "  host       %s%s\n"
        "  incident   %s\n"
        "  hold       %s\n"
        "  state      %s\n"
        "\n"
        "1. Is this bag as it was exported? (BagIt, RFC 8493; in this directory)\n"
        "\n"
        "    sha256sum --quiet -c tagmanifest-sha256.txt && sha256sum --quiet -c manifest-sha256.txt\n"
        "\n"
        "2. Is it what the host signed?\n"
        "\n"
        "    cd data/evidence\n"
        "    openssl pkeyutl -verify -pubin -inkey host_key.pem -rawin \\\n"
        "            -in tagmanifest-sha256.txt -sigfile tagmanifest-sha256.txt.sig\n"
        "    sha256sum --quiet -c tagmanifest-sha256.txt\n"
        "\n"
        "   host_key.pem came with the evidence. It is the host's if this prints the host's fingerprint as you have "
        "it\n"
        "   from elsewhere, without its SHA256: and the = at the end:\n"
        "\n"
        "    { printf '\\0\\0\\0\\013ssh-ed25519\\0\\0\\0\\040'; openssl pkey -pubin -in host_key.pem -outform DER | "
        "tail -c 32; } |\n"
        "            openssl dgst -sha256 -binary | base64\n"
        "\n"
        "   evidence.tlog-proof, if it is there: evidence.dsse.json is a record of the host's ledger, in a head that "
        "the\n"
        "   host signed, and a witness of your trust root if it had seen that (c2sp.org/tlog-proof):\n"
        "\n"
        "    freezectl evidence verify . --trust trust.json\n"
        "\n"
        "   ../ledger.jsonl, if it is there: the records about this hold, as the host's ledger has them, and who read "
        "this\n"
        "   before you (\"kind\":\"custody\"). A line is a leaf of its tree: SHA-256 of one zero byte and the line "
        "without\n"
        "   its newline. What \"envelope\" and \"receipt\" hold is signed by those who gave the order, and by the "
        "host.\n"
        "\n";

static const char whole[] = "   And the sealed files, which nobody has to open for that:\n"
                            "\n"
                            "    sha256sum --quiet -c manifest-sha256.txt\n"
                            "\n";

static const char cut[] = "   And the sealed files, which nobody has to open for that. The collector was stopped "
                          "before it had a manifest; a line\n"
                          "   of public.jsonl is there for each file that it had sealed:\n"
                          "\n"
                          "    jq -r '\"\\(.sha256)  \\(.file)\"' public.jsonl | sha256sum --quiet -c\n"
                          "\n";

static const char deleted[] = "   The sealed files were deleted, by order or because their time was over: "
                              "tombstone.dsse.json is the host's word\n"
                              "   for that. What they were, manifest-sha256.txt says.\n"
                              "\n";

static const char sealed[] =
        "   All of 2 at once, with your own list of known hosts, and what is missing named:\n"
        "\n"
        "    freezectl evidence verify .\n"
        "\n"
        "3. Open it. Only who has the secret key for one of these can:\n"
        "\n"
        "%s"
        "\n"
        "    freezectl evidence export . --identity ../../../key.txt --out ../../../opened      all as it was\n"
        "\n"
        "   or by hand, file by file; *-pack.tar.zst.age hold small objects, *-index.jsonl.zst.age say what each is. "
        "What is\n"
        "   put in here was not signed, and verify says so: keys and what is opened belong elsewhere.\n"
        "\n"
        "    for f in data/*-index.jsonl.zst.age; do age -d -i ../../../key.txt \"$f\" | zstd -d; done\n"
        "    age -d -i ../../../key.txt data/000002-pack.tar.zst.age | zstd -d | tar -x -C ../../..\n"
        "\n"
        "4. What is in the clear beside it: data/timeline.timesketch.jsonl, data/timeline.iris.csv, data/bodyfile.txt\n"
        "   (empty here). They are views, made of the order, the ledger and what was sealed when, and prove nothing.\n";

static const char opened[] =
        "   This bag was opened. What is sealed is not in it, and without that nobody can prove that these objects "
        "are\n"
        "   what the host sealed: keep the sealed bag, this is a working copy.\n"
        "\n"
        "3. What is where (below data/)\n"
        "\n"
        "    index.jsonl        a line for each object: \"source\" is where it came from, \"sha256\" was compared when "
        "it was\n"
        "                       opened; lines with \"hole\" are what could not be read, and why. An object is called "
        "by\n"
        "                       the last part of \"file\", or by \"member\". Names of files in it were made by others\n"
        "    objects/           the objects. A file with gaps has only its data; the line \"note\":\"sparse\" says "
        "where it lay\n"
        "    cores/             memory of each process, NNNNNN-PID.core\n"
        "\n"
        "    gdb -q -nx -iex 'set auto-load no' -iex 'set sysroot /nonexistent' -iex 'set debuginfod enabled off' \\\n"
        "            -ex 'thread apply all bt' PROGRAM cores/000012-4711.core\n"
        "\n"
        "   PROGRAM: a copy of the one on disk, or objects/*-deleted-exe. /nonexistent: or a directory with the "
        "libraries of\n"
        "   the host below it, for their names; without it gdb takes those of your machine, whatever the core calls "
        "them.\n"
        "\n"
        "    journal/           the journal as it was exported, and rebuilt where systemd-journal-remote is installed\n"
        "\n"
        "    journalctl --file journal/000040-journal.journal -o short-precise\n"
        "    /lib/systemd/systemd-journal-remote -o rebuilt.journal journal/000040-journal.export\n"
        "\n"
        "    timeline.timesketch.jsonl   timesketch_importer --timeline_name CASE timeline.timesketch.jsonl\n"
        "    timeline.iris.csv           DFIR-IRIS: Timeline, Upload CSV of events\n"
        "    bodyfile.txt                mactime -d -b bodyfile.txt -z UTC   (plaso: log2timeline.py --parsers "
        "bodyfile)\n"
        "\n"
        "   In the three lists every character that a terminal or a spreadsheet would act on is written \\xNN, and a "
        "backslash\n"
        "   as two. The objects, cores and journals are as they were, whatever is in them.\n";

static char *recipients(const struct bag *b) {
        char *text = NULL;
        size_t size, i;
        FILE *f = open_memstream(&text, &size);
        const json_t *one;

        if (!f)
                return NULL;
        json_array_foreach(json_object_get(b->predicate, "recipients"), i, one)(void)
                fprintf(f, "    %s\n", CLEAN(json_string_value(one)));
        if (fclose(f) == 0)
                return text;
        free(text);
        return NULL;
}

char *export_readme(const struct bag *b, bool is_open) {
        _cleanup_free_ char *to = recipients(b);
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (f) {
                (void) fprintf(f, head, b->host, *b->name ? "" : "   (a key that was not known to whoever made this)",
                               CLEAN(member_str(b->predicate, "incident")), CLEAN(member_str(b->predicate, "hold")),
                               CLEAN(member_str(b->predicate, "state")));
                if (is_open)
                        (void) fputs(opened, f);
                else {
                        (void) fputs(b->tombstone                                 ? deleted
                                     : sums_find(&b->tags, "manifest-sha256.txt") ? whole
                                                                                  : cut,
                                     f);
                        (void) fprintf(f, sealed, to ?: "");
                }
        }
        if (f && fclose(f) == 0 && to)
                return text;
        free(text);
        return NULL;
}

/* QEMU plugin: counts the instructions executed between two addresses.
 *
 * Arguments: begin=HEX, end=HEX, out=FILE. Every time `end` is reached after `begin`, a line with
 * the number of instructions in between goes to the file. The ones at the two addresses are not
 * counted. Interrupt handlers that run in between are.
 *
 * QEMU's plugin header is not packaged everywhere, so what is used of it is declared here.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*on_translate)(uint64_t id, struct qemu_plugin_tb *tb);
typedef void (*on_execute)(unsigned cpu, void *data);

enum { NO_REGISTERS = 0 };

extern void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, on_translate call);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t n);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, on_execute call,
                                                   int flags, void *data);

/* QEMU refuses a plugin whose version it no longer or does not yet know. */
int qemu_plugin_version = API_VERSION;

static uint64_t begin, end, count;
static int inside;
static FILE *out;

static void at_begin(unsigned cpu, void *data)
{
    count = 0;
    inside = 1;
}

static void at_end(unsigned cpu, void *data)
{
    if (inside) {
        fprintf(out, "%" PRIu64 "\n", count);
        fflush(out);
    }
    inside = 0;
}

static void at_other(unsigned cpu, void *data)
{
    count++;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
    for (size_t n = 0; n < qemu_plugin_tb_n_insns(tb); n++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, n);
        uint64_t address = qemu_plugin_insn_vaddr(insn);
        on_execute call = address == begin ? at_begin : address == end ? at_end : at_other;
        qemu_plugin_register_vcpu_insn_exec_cb(insn, call, NO_REGISTERS, NULL);
    }
}

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
    for (int n = 0; n < argc; n++) {
        if (!strncmp(argv[n], "begin=", 6))
            begin = strtoull(argv[n] + 6, NULL, 16);
        else if (!strncmp(argv[n], "end=", 4))
            end = strtoull(argv[n] + 4, NULL, 16);
        else if (!strncmp(argv[n], "out=", 4))
            out = fopen(argv[n] + 4, "w");
    }
    if (!out)
        return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}

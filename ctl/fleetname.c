/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/fleetname.h"
#include "ctl/text.h"
#include "ctl/trustfile.h"

int fleetname_get(struct ctl *c, char ret[static COMMAND_FLEET_MAX + 1]) {
        _cleanup_trust_ struct trust *t = NULL;
        const char *name = c->opt.fleet;
        int x = name ? 0 : trustfile_load(&c->opt, &t, &c->why);

        if (x != 0)
                return x;
        if (!name && !t)
                return why_set(&c->why, CTL_USAGE,
                               "which fleet? there is no %s here: give --trust FILE or --fleet NAME", TRUSTFILE_PATH);
        if (!name)
                name = t->fleet;
        if (!schema_is_name(name, COMMAND_FLEET_MAX + 1))
                return why_set(&c->why, CTL_USAGE, "\"%s\" is no name of a fleet", CLEAN(name));
        (void) snprintf(ret, COMMAND_FLEET_MAX + 1, "%s", name);
        return 0;
}

[pathweave]
title=pathweave
description=Encrypted tunnels between sites, one for each pair of ISPs
ports=51820/udp

"""Addresses as they are counted: whoever has one of IPv6 has as many as there are in its network."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

PREFIX = 64
"""Bits of an IPv6 address that its owner cannot choose."""


def counted(address: str) -> str:
    """Return what requests from an address are counted under: an IPv6 address's network, anything else as it is."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ip_network((found, PREFIX), strict=False))

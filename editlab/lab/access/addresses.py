"""Internet addresses: which of them count as one visitor's, and which texts are addresses."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address

HOUSEHOLD_BITS = 64
"""Bits of an IPv6 address that its holder cannot choose. Each holder has 2^64 addresses with the same bits."""


def network_of(address: str) -> str:
    """Return what an address is counted as: IPv6 as its /64 network, IPv4 (also written as IPv6) as it is.

    Anything that is not an address, such as a Unix socket's peer, is returned unchanged.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((int(parsed), HOUSEHOLD_BITS), strict=False))


def is_address(text: str) -> bool:
    """Return whether a text is an IP address without the name of a network interface."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text

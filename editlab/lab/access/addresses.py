"""Internet addresses: what counts as one visitor's, and what is an address at all."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address

HOUSEHOLD_BITS = 64
"""Bits of an IPv6 address that its holder cannot choose. Each holder has 2^64 addresses behind them."""


def counted(address: str) -> str:
    """Return what an address counts as: IPv6 by its /64 network, IPv4 (also written as IPv6) as it is.

    Anything that is not an address, such as a Unix socket's peer, is returned unchanged.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Network((int(found), HOUSEHOLD_BITS), strict=False))


def is_address(text: str) -> bool:
    """Return whether a text is an IP address without the name of a network interface."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text

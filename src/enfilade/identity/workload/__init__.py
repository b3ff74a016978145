"""Certificates of the processes of one app, for calls between hosts.

spiffe     the name of a workload
peer       who is at the other end: the rules for a certificate
root       a key that signs, and what it signs
authority  issues, renews, exchanges its roots
files      how certificates reach the processes of a host
held       what a process has of them at one time, as TLS contexts
workload   one process: what it shows, and whom it lets in
"""

from enfilade.identity.workload.authority import Authority as Authority
from enfilade.identity.workload.peer import Peer as Peer
from enfilade.identity.workload.peer import PeerRefused as PeerRefused
from enfilade.identity.workload.peer import verify_peer as verify_peer
from enfilade.identity.workload.spiffe import OUTSIDE as OUTSIDE
from enfilade.identity.workload.spiffe import SpiffeId as SpiffeId
from enfilade.identity.workload.spiffe import domain_of as domain_of
from enfilade.identity.workload.workload import Workload as Workload

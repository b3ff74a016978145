"""How often, and how much: calls, bytes, money or anything else, in a period, for each of somebody.

meter.py     one rate of one operation at work: who is counted, what is said of it
bucket.py    below an hour: fills evenly, in the memory of the process
window.py    hours, days and months: kept in the service's store, in slices
allowed.py   what a tenant's plan allows
tab.py       what one call takes: set aside before it, settled after it
station.py   all of them, and the station
"""

from enfilade.guard.meters.station import Meters as Meters

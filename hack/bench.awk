# Copyright The Seatkeeper Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Turns the output of one benchmark into rows of the table of hack/bench.sh:
#   what | size | measured | compared with | ratio | goal | met
# A ratio in the output is ours in relation to a reference of the same run.

function row(what, size, measured, compared, ratio, goal, met) {
	printf "| %s | %s | %s | %s | %s | %s | %s |\n", what, size, measured, dash(compared), dash(ratio), dash(goal), dash(met)
}
function dash(s) { return s == "" ? "–" : s }
function judge(ok) { return ok ? "yes" : "**no**" }
function trim(s) { gsub(/^[ \t]+|[ \t]+$/, "", s); return s }

# least is the goal of a ratio that must not be smaller.
BEGIN {
	least["PostgreSQL first load vs raw COPY"] = 0.18
	least["PostgreSQL re-sync 1 % changed vs raw COPY"] = 0.30
	least["SQLite re-sync 1 % changed vs by hand"] = 0.80
	least["SQLite: webhook acknowledgements vs raw durable insert"] = 0.60
	least["PostgreSQL: webhook acknowledgements vs raw durable insert"] = 0.60
	# most is the goal of one that must not be larger.
	most["SQLite: webhook acknowledgement p99 vs raw durable insert"] = 2
	most["PostgreSQL: webhook acknowledgement p99 vs raw durable insert"] = 2
}

# Rows that a benchmark prints itself.
/^\| growth of SCIM / {
	split($0, cell, "|")
	e = trim(cell[5])
	gsub(/[^0-9.-]/, "", e)
	row(trim(cell[2]), trim(cell[3]) " users", trim(cell[4]), "", "exponent " e, "≤ 0.20", judge(e + 0 <= 0.2))
	next
}
/^\| SCIM first cycle/ {
	split($0, cell, "|")
	row(trim(cell[2]), trim(cell[3]), trim(cell[4]), "", "", "≥ 25 users/s", judge(cell[4] + 0 >= 25))
	next
}
/^\| growth / {
	n = split($0, cell, "|")
	match(cell[3], /exponent/)
	e = substr(cell[3], RSTART)
	gsub(/[^0-9.]/, "", e)
	row(trim(cell[2]), rows, trim(substr(cell[3], 1, RSTART - 1)), "", "exponent " e, "≤ 1.05", judge(e + 0 <= 1.05))
	next
}
/^\| (manager|event)/ {
	split($0, cell, "|")
	row(trim(cell[2]), trim(cell[3]), trim(cell[4]), trim(cell[5]), "", trim(cell[6]), trim(cell[7]))
	next
}
/^\| people / {
	split($0, cell, "|")
	row(trim(cell[2]), trim(cell[3]), trim(cell[4]) ", " trim(cell[5]), "", "", "", "")
	next
}
/^\| / {
	split($0, cell, "|")
	what = trim(cell[2])
	ratio = trim(cell[6])
	gsub(/\*/, "", ratio)
	if (what in most) {
		row(what, trim(cell[3]), trim(cell[4]), trim(cell[5]), ratio, sprintf("≤ %.2f", most[what]), judge(ratio + 0 <= most[what]))
		next
	}
	goal = what in least ? sprintf("≥ %.2f", least[what]) : ""
	row(what, trim(cell[3]), trim(cell[4]), trim(cell[5]), ratio, goal, goal == "" ? "" : judge(ratio + 0 >= least[what]))
	next
}

# Results of the testing package: name, count, then value and unit by turns.
/^Benchmark/ {
	delete metric
	for (i = 3; i < NF; i += 2) metric[$(i + 1)] = $i
	split($1, part, "/")
	sub(/-[0-9]+$/, "", part[1])
	sub(/-[0-9]+$/, "", part[2])
	store = part[2] == "postgres" ? "PostgreSQL" : "SQLite"
	if (part[1] == "BenchmarkEvaluate") {
		row(store ": evaluate a policy in full", tenth " seats", metric["s/evaluation"] " s, " metric["ns/seat"] " ns a seat", "a scan that fetches the same rows",
			metric["x-fetching-scan"] "×", "≤ 1.50×", judge(metric["x-fetching-scan"] + 0 <= 1.5))
		row(store ": evaluate a policy in full", tenth " seats", metric["s/evaluation"] " s", "a scan that only counts them in the database", metric["x-counting-scan"] "×", "", "")
	} else if (part[1] == "BenchmarkEngine") {
		row(store ": runs of three actions, every intent and outcome on disk", runs " runs", metric["runs/s"] " runs/s, " metric["cpu-s/1000"] " s of CPU per 1000", "", "", "≥ 1100 runs/s",
			judge(metric["runs/s"] + 0 >= 1100))
	} else if (part[1] == "BenchmarkRuns") {
		row(store ": runs of three requests to a vendor, queued before", runs " runs", metric["runs/s"] " runs/s", "the vendor computes " metric["vendor-cpu-s/1000"] " s per 1000 besides", "", "≥ 1100 runs/s",
			judge(metric["runs/s"] + 0 >= 1100))
		row(store ": CPU of 1000 such runs", runs " runs", metric["cpu-s/1000"] " s", store == "SQLite" ? "" : "of it PostgreSQL " metric["server-cpu-s/1000"] " s", "", "≤ 1.00 s",
			judge(metric["cpu-s/1000"] + 0 <= 1))
		row(store ": disk of such a run", runs " runs", sprintf("%.2f KB", metric["B/run"] / 1000), sprintf("%.2f KB before it is rewritten without gaps", metric["left-B/run"] / 1000), "", "≤ 2.50 KB",
			judge(metric["B/run"] + 0 <= 2500))
	} else if (part[1] == "BenchmarkLanes") {
		size = metric["queued"] " runs queued, " metric["window-s"] " s"
		row(store ": calls of a lane that may have 50 a second", size, metric["calls/s"] " calls/s", "50 calls/s", metric["%off"] " % off", "≤ 2 % off", judge(metric["%off"] + 0 <= 2))
		row(store ": start of a run of another lane meanwhile, p99", size, metric["other-p99-s"] " s", "", "", "≤ 2 s", judge(metric["other-p99-s"] + 0 <= 2))
	} else if (part[1] == "BenchmarkClaimArchived") {
		row(store ": the same among " sprintf("%d", metric["ended"]) " that have ended", "40,010 runs", metric["ms-many"] " ms", metric["ms-few"] " ms: among 10000 that have ended", metric["x-few"] "×", "≤ 1.20×",
			judge(metric["x-few"] + 0 <= 1.2))
	} else if (part[1] == "BenchmarkClaim") {
		row(store ": find 10 due runs among 40,000 that wait", "40,010 runs", sprintf("%.2f ms", metric["ns/op"] / 1e6), "", "", "", "")
	} else if (part[1] == "BenchmarkMapping") {
		row("map a page of Okta users to people and accounts, one core", "200 users", metric["users/s"] " users/s", "", "", "≥ 25000 users/s", judge(metric["users/s"] + 0 >= 25000))
	} else if (part[1] == "BenchmarkRead") {
		row("read 20 pages through HTTP", "4000 records", metric["records/s"] " records/s", "", "", "", "")
	} else if (part[1] == "BenchmarkSlack") {
		row("read a Slack workspace that answers in 100 ms: requests", "5,000 members, 200 groups of 50", metric["requests"] " requests", "", "", "≤ 28 requests", judge(metric["requests"] + 0 <= 28))
		row("read a Slack workspace that answers in 100 ms: time", "5,000 members, 200 groups of 50", metric["s"] " s", "waiting for the vendor", metric["%vendor"] " % of it", "> 50 %", judge(metric["%vendor"] + 0 > 50))
	} else if (part[1] == "BenchmarkLargeRead") {
		row("read members through HTTP: heap above idle", "100,000 members", metric["MiB"] " MiB, " metric["users/s"] " members/s", "", "", "≤ 64 MiB", judge(metric["MiB"] + 0 <= 64))
	} else if (part[1] == "BenchmarkRows") {
		row("read a CSV export", "20,000 rows", metric["rows/s"] " rows/s", "", "", "", "")
	}
}

// Reads logfmt, and prints what is in each line as JSON.
import logfmt from 'logfmt'
import {readFileSync} from 'node:fs'

for (const line of readFileSync(0, 'utf8').trimEnd().split('\n')) console.log(JSON.stringify(logfmt.parse(line)))

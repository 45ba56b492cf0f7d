// Follows the changes as a browser would, and prints what happens, in one line of JSON each.
import {EventSource} from 'eventsource'

const source = new EventSource(process.argv[2])
const print = (what) => console.log(JSON.stringify(what))

source.onopen = () => print({open: true})
source.onmessage = (event) => print({title: JSON.parse(event.data).task.title})
source.onerror = () => print({gave_up: source.readyState === EventSource.CLOSED})

// Reads logfmt, and prints the pairs of each line as JSON.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/go-logfmt/logfmt"
)

func main() {
	decoder := logfmt.NewDecoder(os.Stdin)
	for decoder.ScanRecord() {
		pairs := [][2]string{}
		for decoder.ScanKeyval() {
			pairs = append(pairs, [2]string{string(decoder.Key()), string(decoder.Value())})
		}
		line, _ := json.Marshal(pairs)
		fmt.Println(string(line))
	}
	if err := decoder.Err(); err != nil {
		panic(err)
	}
}

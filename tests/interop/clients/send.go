// `go run send.go net/http URL (TOKEN FILE close|keep)…` posts files and prints the status of each answer.
package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
)

func main() {
	url, given := os.Args[2], os.Args[3:]
	for at := 0; at < len(given); at += 3 {
		body, err := os.ReadFile(given[at+1])
		if err != nil {
			panic(err)
		}
		request, err := http.NewRequest("POST", url, bytes.NewReader(body))
		if err != nil {
			panic(err)
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer "+given[at])
		request.Close = given[at+2] == "close"
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			panic(err)
		}
		fmt.Println(answer.StatusCode)
	}
}

// The session of tests/clients/harness.py, by a client of openapi-generator's Go.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"todolist"
)

var (
	client *todolist.APIClient
	ctx    = context.WithValue(context.Background(), todolist.ContextAccessToken, os.Getenv("SERVICE_TOKEN"))
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func say(step string, value interface{}) {
	line, err := json.Marshal([]interface{}{step, value})
	must(err)
	fmt.Println(string(line))
}

func create(task todolist.Task) string {
	_, response, err := client.TasksAPI.CreateTask(ctx).Task(task).Execute()
	must(err)
	return strings.TrimPrefix(response.Header.Get("Location"), "/tasks/")
}

func read(id string) (*todolist.Task, string) {
	task, response, err := client.TasksAPI.GetTask(ctx, id).Execute()
	must(err)
	return task, response.Header.Get("ETag")
}

func page(cursor string) ([]string, string) {
	request := client.TasksAPI.ListTasks(ctx).Completed(false).Priority([]todolist.Priority{todolist.HIGH, todolist.URGENT}).
		DueAfter("1764115260").DueBefore("2025-11-26T00:01:02Z").Q("milk").Sort(todolist.DUE_DATE_REVERSED).Limit(1)
	if cursor != "" {
		request = request.Cursor(cursor)
	}
	tasks, response, err := request.Execute()
	must(err)
	titles := []string{}
	for _, task := range *tasks {
		titles = append(titles, task.Title)
	}
	link := strings.Trim(strings.Split(response.Header.Get("Link"), ";")[0], "<>")
	next, err := url.Parse(link)
	must(err)
	return titles, next.Query().Get("cursor")
}

// report returns the body of an error, as the client has it.
func report(err error) todolist.ErrorReport {
	var failure *todolist.GenericOpenAPIError
	if !errors.As(err, &failure) {
		panic(fmt.Sprint("expected an error of the API, got ", err))
	}
	return failure.Model().(todolist.ErrorReport)
}

// lines sends what has another type of body than the operation has in Go.
func lines(method string, body string) []string {
	request, err := http.NewRequest(method, os.Getenv("SERVICE_URL")+"/tasks", strings.NewReader(body))
	must(err)
	request.Header.Set("Content-Type", "application/x-ndjson")
	request.Header.Set("Accept", "application/x-ndjson")
	request.Header.Set("Authorization", "Bearer "+os.Getenv("SERVICE_TOKEN"))
	response, err := client.GetConfig().HTTPClient.Do(request)
	must(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(err)
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func bulk() []string {
	lines("POST", "{\"title\": \"Bread\"}\n{\"title\": \"Butter\"}\n")
	titles := []string{}
	for _, line := range lines("GET", "") {
		var entry todolist.TaskLine
		must(json.Unmarshal([]byte(line), &entry))
		if strings.HasPrefix(entry.Task.Title, "B") {
			titles = append(titles, entry.Task.Title)
		}
	}
	return titles
}

func main() {
	config := todolist.NewConfiguration()
	config.Servers = todolist.ServerConfigurations{{URL: os.Getenv("SERVICE_URL")}}
	client = todolist.NewAPIClient(config)

	milk := todolist.NewTask("Milk")
	milk.SetDescription("two bottles")
	milk.SetPriority(todolist.HIGH)
	milk.SetCompleted(false)
	milk.SetDueDate(1764115261)
	rent := todolist.NewTask("Rent for milk")
	rent.SetPriority(todolist.URGENT)
	rent.SetDueDate(1764115261.125)
	early := todolist.NewTask("Früh 🥛")
	early.SetDueDate(-9007199254740991)
	id := create(*milk)
	task, etag := read(id)
	task2, _ := read(create(*rent))
	task3, _ := read(create(*early))
	say("read", []*todolist.Task{task, task2, task3})

	first, cursor := page("")
	second, _ := page(cursor)
	say("pages", [][]string{first, second})

	patch := todolist.NewTaskPatch()
	patch.SetDueDateNil()
	patch.SetCompleted(true)
	patched, _, err := client.TasksAPI.PatchTask(ctx, id).IfMatch(etag).Prefer("return=representation").TaskPatch(*patch).Execute()
	must(err)
	say("patched", patched)
	late := todolist.NewTaskPatch()
	late.SetTitle("Late")
	_, _, err = client.TasksAPI.PatchTask(ctx, id).IfMatch(etag).TaskPatch(*late).Execute()
	say("stale", report(err).Code)

	_, response, err := client.TasksAPI.CreateTask(ctx).Task(*todolist.NewTask("")).Execute()
	pointers := []string{}
	for _, violation := range report(err).Errors {
		pointers = append(pointers, violation.Pointer)
	}
	say("invalid", []interface{}{response.StatusCode, pointers})
	_, response, err = client.TasksAPI.GetTask(ctx, "none").Execute()
	say("missing", []interface{}{response.StatusCode, report(err).Code})

	say("bulk", bulk())

	deleted, err := client.TasksAPI.DeleteTask(ctx, id).Execute()
	must(err)
	_, gone, _ := client.TasksAPI.GetTask(ctx, id).Execute()
	say("deleted", []int{deleted.StatusCode, gone.StatusCode})

	changes, _, err := client.ChangesAPI.ListChanges(ctx).Since(0).Execute()
	must(err)
	say("changes", changes)
}

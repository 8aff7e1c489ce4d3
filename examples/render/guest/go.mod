module peapod.example/render

go 1.26

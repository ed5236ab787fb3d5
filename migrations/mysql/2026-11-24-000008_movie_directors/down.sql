DROP TABLE IF EXISTS movie_directors;

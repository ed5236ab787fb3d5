DROP TABLE IF EXISTS movie_genres;
